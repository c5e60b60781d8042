"""Chooses the options of a sharing among its candidates, by their valid loss."""

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
"""Fewest samples to compare candidates on."""
SHARE = 0.25
"""Share of the train samples, in whole groups, to hold out if there are too few valid samples."""
AGAIN = 3
"""Networks per candidate, with different initial weights, if candidates train in parallel; the mean of their
losses is less noisy."""
PLACE = 101
"""Path of the search in the seeds of a training (see `member_seed`)."""


def search(prepared: Prepared, seed: int) -> tuple[ModelConfig, Search | None]:
    """The config with the chosen options of the sharing, and the search; None if there is no choice.

    Raises `ConfigError` for invalid options, `ModelError` when a loss is not finite.
    """
    config = prepared.config
    made = cast(type[Sharing], SHARINGS.get(config.sharing))
    given = parse_options(SHARINGS, config.sharing, config.options_for(config.sharing))
    candidates = [asdict(options) for options in made.candidates(prepared.tasks, given)]
    if len(candidates) == 1:
        return config, None
    differ = [key for key in candidates[0] if len({options[key] for options in candidates}) > 1]
    train, judges, judged_on = _divide(prepared, member_seed(seed, PLACE))
    if judges is None:
        chosen = candidates[0]
        return _with(config, chosen), Search(config.sharing, _only(chosen, differ), judged_on)
    configs = [_with(config, options) for options in candidates]
    if made.alike:
        seeds = [member_seed(seed, PLACE, k) for k in range(AGAIN)]
        losses = _losses(prepared, configs, train, judges, seeds)
    else:
        one = [member_seed(seed, PLACE, 0)]
        losses = [_losses(prepared, [config], train, judges, one)[0] for config in configs]
    order = np.argsort(losses, kind="stable").tolist()
    tried = tuple(Tried(_only(candidates[i], differ), losses[i]) for i in order)
    return configs[order[0]], Search(config.sharing, tried[0].options, judged_on, tried)


def _divide(prepared: Prepared, seed: int) -> tuple[Batch, Batch | None, str]:
    """Samples to train on, samples to compare on and their description; None if groups are too few or
    small."""
    if prepared.valid is not None:
        return prepared.train, prepared.valid, counted(len(prepared.valid), "valid sample")
    names, sizes = np.unique(prepared.groups, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    taken = int(np.searchsorted(np.cumsum(sizes[order]), SHARE * sizes.sum())) + 1
    aside = np.isin(prepared.groups, names[order[:taken]])
    if min(aside.sum(), (~aside).sum()) < FEWEST:
        return prepared.train, None, "too few labelled samples, or groups of them, to compare on"
    rows = [torch.from_numpy(np.flatnonzero(part)).to(prepared.device) for part in (~aside, aside)]
    learned, judges = (prepared.train.take(part) for part in rows)
    return (
        learned,
        judges,
        f"{counted(len(judges), 'train sample')} held out, because there are too few valid samples",
    )


def _losses(
    prepared: Prepared, configs: Sequence[ModelConfig], train: Batch, judges: Batch, seeds: Sequence[int]
) -> list[float]:
    """The mean loss of each config over the seeds, all trained in parallel."""
    nets = [replace(prepared, config=config).network(seed) for config in configs for seed in seeds]
    generators = [torch.Generator().manual_seed(seed) for _ in configs for seed in seeds]
    with repeatable(seeds[0], prepared.device):
        members = Members(nets, prepared.device)
        config = replace(configs[0], compile=False)  # one network after the other would be compiled
        fitted = fit(
            members,
            train,
            judges,
            config,
            generators,
            checkpointer=prepared.checkpointer,
            cache_graphs=prepared.cache_graphs,
        )
    losses = np.array([one.valid_loss for one in fitted], np.float64)
    return [float(loss) for loss in losses.reshape(len(configs), len(seeds)).mean(axis=1)]


def _with(config: ModelConfig, options: Mapping[str, Any]) -> ModelConfig:
    """The config with all options of its sharing set."""
    return replace(config, options={**config.options, config.sharing: dict(options)})


def _only(options: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: options[key] for key in keys}
