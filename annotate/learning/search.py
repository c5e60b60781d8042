"""Which of a sharing's candidate options fit the labels at hand: each is tried on valid."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np
import torch

from annotate.learning.batches import Batch
from annotate.learning.device import repeatable
from annotate.learning.members import Members
from annotate.learning.model_config import ModelConfig
from annotate.learning.prepared import Prepared
from annotate.learning.results import Search, Tried
from annotate.learning.seeds import member_seed
from annotate.learning.sharings.base import Sharing
from annotate.learning.trainer import fit
from annotate.options import parse_options
from annotate.registry import SHARINGS
from annotate.wording import counted

FEWEST = 10
"""Samples below which their loss tells no candidate from another."""
SHARE = 0.25
"""Of the train samples, in whole groups, that are set aside where there are too few valid ones."""
AGAIN = 3
"""Networks of each candidate, from other first weights, where candidates train side by side: the mean of
their losses counts, which chance moves less."""
PLACE = 101
"""Of the search among the seeds of a training."""


def search(prepared: Prepared, seed: int) -> tuple[ModelConfig, Search | None]:
    """The recipe with the sharing's options chosen, and how; None where there was nothing to choose.

    Raises `ConfigError` for options that cannot be, `ModelError` when a loss is no longer a number.
    """
    recipe = prepared.recipe
    made = cast(type[Sharing], SHARINGS.get(recipe.sharing))
    given = parse_options(SHARINGS, recipe.sharing, recipe.options_for(recipe.sharing))
    candidates = [asdict(options) for options in made.candidates(prepared.tasks, given)]
    if len(candidates) == 1:
        return recipe, None
    differ = [key for key in candidates[0] if len({options[key] for options in candidates}) > 1]
    train, judges, judged_on = _divide(prepared, member_seed(seed, PLACE))
    if judges is None:
        chosen = candidates[0]
        return _with(recipe, chosen), Search(recipe.sharing, _only(chosen, differ), judged_on)
    recipes = [_with(recipe, options) for options in candidates]
    if made.alike:
        seeds = [member_seed(seed, PLACE, k) for k in range(AGAIN)]
        losses = _losses(prepared, recipes, train, judges, seeds)
    else:
        one = [member_seed(seed, PLACE, 0)]
        losses = [_losses(prepared, [recipe], train, judges, one)[0] for recipe in recipes]
    order = np.argsort(losses, kind="stable").tolist()
    tried = tuple(Tried(_only(candidates[i], differ), losses[i]) for i in order)
    return recipes[order[0]], Search(recipe.sharing, tried[0].options, judged_on, tried)


def _divide(prepared: Prepared, seed: int) -> tuple[Batch, Batch | None, str]:
    """Who is learned from, who judges, and that in words; nobody where groups are too few or too small."""
    if prepared.valid is not None:
        return prepared.train, prepared.valid, counted(len(prepared.valid), "valid sample")
    names, sizes = np.unique(prepared.groups, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    taken = int(np.searchsorted(np.cumsum(sizes[order]), SHARE * sizes.sum())) + 1
    aside = np.isin(prepared.groups, names[order[:taken]])
    if min(aside.sum(), (~aside).sum()) < FEWEST:
        return prepared.train, None, "too few labelled samples, or groups of them, to judge by"
    rows = [torch.from_numpy(np.flatnonzero(part)).to(prepared.device) for part in (~aside, aside)]
    learned, judges = (prepared.train.take(part) for part in rows)
    return learned, judges, f"{counted(len(judges), 'train sample')} set aside, the valid ones being too few"


def _losses(
    prepared: Prepared, recipes: Sequence[ModelConfig], train: Batch, judges: Batch, seeds: Sequence[int]
) -> list[float]:
    """Of each recipe the mean over the seeds, which decide first weights and order; all side by side."""
    nets = [replace(prepared, recipe=recipe).network(seed) for recipe in recipes for seed in seeds]
    generators = [torch.Generator().manual_seed(seed) for _ in recipes for seed in seeds]
    with repeatable(seeds[0], prepared.device):
        members = Members(nets, prepared.device)
        recipe = replace(recipes[0], compile=False)  # one network after the other would be compiled
        fitted = fit(
            members,
            train,
            judges,
            recipe,
            generators,
            checkpointer=prepared.checkpointer,
            cache_graphs=prepared.cache_graphs,
        )
    losses = np.array([one.valid_loss for one in fitted], np.float64)
    return [float(loss) for loss in losses.reshape(len(recipes), len(seeds)).mean(axis=1)]


def _with(recipe: ModelConfig, options: Mapping[str, Any]) -> ModelConfig:
    """The recipe with every option of its sharing said."""
    return replace(recipe, options={**recipe.options, recipe.sharing: dict(options)})


def _only(options: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: options[key] for key in keys}
