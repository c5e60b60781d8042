"""From labels to a trained model: features are read once, then the ensemble that the recipe names is made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from annotate.errors import ModelError
from annotate.learning.batches import (
    Batch,
    Condense,
    FeatureReader,
    Place,
    Places,
    Standardiser,
    encode_labels,
    make_inputs,
    read_condensed,
)
from annotate.learning.checkpoint import Checkpoint
from annotate.learning.device import repeatable
from annotate.learning.encoders._tokens import require_readable
from annotate.learning.encoders.base import Encoder
from annotate.learning.enough import FEWEST_VALID
from annotate.learning.ensembles.base import Ensemble, State, Trained, Workshop
from annotate.learning.events import Events
from annotate.learning.heads._answers import Shares
from annotate.learning.heads.base import Head, Raw, Target
from annotate.learning.members import Members, restore
from annotate.learning.memory import fits_or_says
from annotate.learning.network import MultiTaskNet, bare_heads, encoder_class
from annotate.learning.predict import raw_outputs
from annotate.learning.recipe import Recipe
from annotate.learning.resume import Keeper
from annotate.learning.sample_weights import Weigher, label_weights
from annotate.learning.search import Search, search
from annotate.learning.seeds import member_seed
from annotate.learning.told import Told
from annotate.learning.trainer import Epoch, Fitted, fit
from annotate.options import options_of
from annotate.progress import SILENT, Progress
from annotate.registry import ENSEMBLES
from annotate.types import UNIMODAL, Kind, Label, Modality, Task

SMALLEST_NOISE = 0.05
"""Share of the scale's width that the noise is never below: raters do not agree better."""
LEAST_UNEXPLAINED = 0.5
"""Share of the labels' spread that the noise is never below while it is known from train only, where the
network has seen the answers."""


def alone(sample_ids: Sequence[str]) -> list[Place]:
    """Places for those who know none: every sample is a video and a group of its own."""
    return [Place(sample_id, 0, sample_id) for sample_id in sample_ids]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What one model is fitted to: samples with at least one label each, ordered by id."""

    tasks: tuple[Task, ...]
    """Those that get a head."""
    train: Sequence[str]
    valid: Sequence[str]
    labels: Mapping[tuple[str, str], Label]
    """By (sample id, task id)."""
    read: FeatureReader
    extractors: Mapping[Modality, str]
    """Features by modality: ``extractor@hash``."""
    places: Places = alone


@dataclass(frozen=True)
class Prepared:
    """A training set as tensors on the device."""

    recipe: Recipe
    tasks: tuple[Task, ...]
    heads: tuple[Head, ...]
    widths: Mapping[Modality, int]
    standardisers: Mapping[Modality, Standardiser]
    targets: Mapping[str, Target]
    train: Batch
    valid: Batch | None
    groups: NDArray[np.intp]
    """(n,) numbers of the train samples' groups."""
    device: str
    keeper: Keeper | None = None

    def network(self, seed: int) -> MultiTaskNet:
        """A new one; `seed` decides its first weights."""
        with repeatable(seed, self.device):
            net = MultiTaskNet(self.widths, self.tasks, self.recipe)
        for task in self.tasks:
            known = self.train.known[task.id].cpu()
            labels, weights = (
                part[task.id].cpu()[known] for part in (self.train.targets, self.train.weights)
            )
            net.head(task).start(labels, weights)
        return net


@fits_or_says()
def fit_ensemble(
    training_set: TrainingSet,
    recipe: Recipe,
    *,
    seed: int,
    device: str,
    progress: Progress = SILENT,
    keep: Path | None = None,
    events: Path | None = None,
) -> Checkpoint:
    """Train the ensemble that `recipe` names.

    Killed and started again with the same folder `keep`, it goes on where it was, to the same weights. What
    TensorBoard shows is written into the folder `events`.
    Raises `ModelError` when features or the loss are not finite or the memory is too small, `UnknownName` or
    `ConfigError` when the recipe names what is not there.
    """
    keeper = None if keep is None else Keeper(keep, progress.say)
    prepared = replace(prepare(training_set, recipe, device), keeper=keeper)
    chosen, found = search(prepared, seed)
    prepared = replace(prepared, recipe=chosen)
    with progress.bar("train", recipe.epochs) as bar:
        trained = _train(prepared, seed, [Told(bar), *([] if events is None else [Events(events)])])
    with repeatable(seed, device):
        noise = _noise(prepared, trained)
    return Checkpoint(
        recipe=prepared.recipe,
        tasks=training_set.tasks,
        extractors=dict(training_set.extractors),
        widths=prepared.widths,
        standardisers=prepared.standardisers,
        targets=prepared.targets,
        noise=noise,
        members=trained.states,
        fitted=trained.fitted,
        combination=trained.combination,
        search=found,
        notes=_notes(prepared, trained, found),
    )


def _notes(prepared: Prepared, trained: Trained, found: Search | None) -> tuple[str, ...]:
    """What the search chose, and what the first network's sharing has to say."""
    net = prepared.network(0)
    net.load_state_dict(dict(trained.states[0]))
    return (*([found.said()] if found else []), *net.sharing.notes(), *trained.notes)


def _train(prepared: Prepared, seed: int, watchers: Sequence[Told | Events]) -> Trained:
    def tell(epoch: Epoch) -> None:
        for watcher in watchers:
            watcher(epoch)

    def fit(
        seeds: Sequence[int],
        weights: Tensor | None = None,
        rows: Tensor | None = None,
        sees: Sequence[str] = (),
    ) -> tuple[list[State], list[Fitted]]:
        for watcher in watchers:
            watcher.begin()
        found = fit_members(prepared, seeds, weights, rows, sees, tell)
        for watcher in watchers:
            watcher.end()
        return found

    recipe = prepared.recipe
    options = options_of(ENSEMBLES, recipe.ensemble, recipe.options_for(recipe.ensemble))
    ensemble = cast(Ensemble, ENSEMBLES.get(recipe.ensemble)(options))
    return ensemble.train(
        Workshop(
            members=recipe.members,
            heads=prepared.heads,
            train=prepared.train,
            groups=prepared.groups,
            seed=seed,
            fit=fit,
            ask=partial(_ask, prepared),
        )
    )


def fit_members(
    prepared: Prepared,
    seeds: Sequence[int],
    weights: Tensor | None = None,
    rows: Tensor | None = None,
    sees: Sequence[str] = (),
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> tuple[list[State], list[Fitted]]:
    """One network per seed, side by side; see `Workshop.fit`."""
    nets = [prepared.network(seed) for seed in seeds]
    train = prepared.train if rows is None else prepared.train.take(rows)
    with repeatable(seeds[0], prepared.device):
        nets[0].sharing.rehearse(nets, partial(_practise, prepared, train, seeds))
        members = Members(nets, prepared.device, sees)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        fitted = fit(
            members, train, prepared.valid, prepared.recipe, generators, on_epoch, sample_weights=weights,
            keeper=prepared.keeper,
        )  # fmt: skip
    return list(members.states()), fitted


def _practise(
    prepared: Prepared,
    train: Batch,
    seeds: Sequence[int],
    nets: Sequence[MultiTaskNet],
    task_ids: Sequence[str],
    epochs: int,
) -> None:
    """Train networks in place on the labels of some tasks, for so many epochs."""
    known = {i: mask if i in task_ids else torch.zeros_like(mask) for i, mask in train.known.items()}
    members = Members(nets, prepared.device)
    generators = [torch.Generator().manual_seed(member_seed(seed, 1)) for seed in seeds]
    recipe = replace(prepared.recipe, epochs=epochs, compile=False)  # too short for it
    fit(members, replace(train, known=known), None, recipe, generators, keeper=prepared.keeper)
    for net, state in zip(nets, members.states(), strict=True):
        net.load_state_dict(state)


def _ask(
    prepared: Prepared, states: Sequence[State], batch: Batch, sees: Sequence[str] = ()
) -> dict[str, Raw]:
    members = restore(prepared.widths, prepared.tasks, prepared.recipe, states, prepared.device, sees)
    return raw_outputs(members, batch.inputs).heads


def prepare(training_set: TrainingSet, recipe: Recipe, device: str) -> Prepared:
    """Read, condense, standardise and encode; with fewer than `FEWEST_VALID` valid samples there are none.

    Raises `ModelError` for a task of a modality without features, and for features that cannot be used.
    """
    _require_features(training_set)
    classes = _encoder_classes(training_set, recipe)
    condense: dict[Modality, Condense] = {m: cls.condense for m, cls in classes.items()}
    train = read_condensed(training_set.read, condense, training_set.train)
    standardisers = {m: Standardiser.fit(rows) for m, rows in train.items() if not classes[m].reads_tokens}
    heads = bare_heads(training_set.tasks, recipe)
    labels = {t.id: _train_labels(training_set, t) for t in training_set.tasks}
    targets = {t.id: Target.fit(t, labels[t.id]) for t in training_set.tasks}
    weighers = [Weigher.fit(t, recipe.balance, labels[t.id]) for t in training_set.tasks]

    def batch(ids: Sequence[str], condensed: Mapping[Modality, list[NDArray[np.float32]]]) -> Batch:
        places = training_set.places(ids)
        inputs = make_inputs(condensed, standardisers, places)
        encoded, known = encode_labels(heads, ids, training_set.labels, targets)
        groups = [place.group for place in places]
        weights = label_weights(weighers, ids, training_set.labels, groups)
        counts = {task_id: torch.from_numpy(found) for task_id, found in weights.items()}
        return Batch(inputs, encoded, known, counts).to(device)

    watched = None
    if len(training_set.valid) >= FEWEST_VALID:
        watched = batch(training_set.valid, read_condensed(training_set.read, condense, training_set.valid))
    groups = np.unique([p.group for p in training_set.places(training_set.train)], return_inverse=True)[1]
    return Prepared(
        recipe=recipe,
        tasks=training_set.tasks,
        heads=heads,
        widths={m: rows[0].shape[1] for m, rows in train.items()},
        standardisers=standardisers,
        targets=targets,
        train=batch(training_set.train, train),
        valid=watched,
        groups=groups,
        device=device,
    )


def _encoder_classes(training_set: TrainingSet, recipe: Recipe) -> dict[Modality, type[Encoder]]:
    """By modality; each can read its features."""
    classes = {m: encoder_class(m, recipe) for m in training_set.extractors}
    for m, extractor in training_set.extractors.items():
        require_readable(classes[m], m, extractor)
    return classes


def _require_features(training_set: TrainingSet) -> None:
    there = training_set.extractors
    for task in training_set.tasks:
        needed = UNIMODAL if task.modality is Modality.MULTIMODAL else (task.modality,)
        if not any(m in there for m in needed):
            word = "" if task.modality is Modality.MULTIMODAL else f"{task.modality.word} "
            named = " or ".join(f"[features] {m.word}" for m in needed)
            raise ModelError(
                f"{task.id} cannot be learned: there are no {word}features",
                hint=f"set {named} and run `annotate extract`, or leave {task.modality} out of the passes",
            )


def _train_labels(training_set: TrainingSet, task: Task) -> list[Label]:
    return [
        training_set.labels[sample_id, task.id]
        for sample_id in training_set.train
        if (sample_id, task.id) in training_set.labels
    ]


def _noise(prepared: Prepared, trained: Trained) -> dict[str, float]:
    """By task id: standard deviation of label minus ensemble mean, on the scale; for heads that need it."""
    sees = trained.combination.sees
    train, valid = (
        None if batch is None else _ask(prepared, trained.states, batch, sees)
        for batch in (prepared.train, prepared.valid)
    )
    noise: dict[str, float] = {}
    for head in prepared.heads:
        task_id = head.task.id
        if head.task.dimension.kind is not Kind.REGRESSION:
            continue
        known = prepared.valid is not None and int(prepared.valid.known[task_id].sum()) >= FEWEST_VALID
        shares = _shares(trained, task_id)
        if known and valid is not None and prepared.valid is not None:
            residual = _residual(head, valid[task_id], prepared.valid, shares)
        else:
            assert train is not None
            residual = _residual(head, train[task_id], prepared.train, shares)
            residual = None if residual is None else max(residual, LEAST_UNEXPLAINED)
        if residual is not None:
            width = head.task.dimension.high - head.task.dimension.low
            noise[task_id] = max(residual * prepared.targets[task_id].scale, SMALLEST_NOISE * width)
    return noise


def _shares(trained: Trained, task_id: str) -> Shares:
    found = trained.combination.shares.get(task_id)
    return None if found is None else np.array(found)


def _residual(head: Head, raw: Raw, batch: Batch, shares: Shares) -> float | None:
    """Root mean square of label minus ensemble mean, in unit scale."""
    known = batch.known[head.task.id].cpu().numpy()
    encoded = batch.targets[head.task.id].cpu().double().numpy()
    errors = head.residuals(raw[:, known], encoded[known], shares)
    return None if errors is None else float(np.sqrt(np.mean(np.square(errors))))
