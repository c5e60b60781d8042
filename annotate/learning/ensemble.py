"""Trains a model: reads the features once, searches options, and trains the ensemble of the settings."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from annotate.learning.batches import Batch
from annotate.learning.checkpoint import Checkpoint
from annotate.learning.device import repeatable
from annotate.learning.ensembles.base import Ensemble, EnsembleContext, State, Trained
from annotate.learning.events import Events
from annotate.learning.heads._answers import Shares
from annotate.learning.heads.base import Head, RawOutputs
from annotate.learning.members import Members, restore
from annotate.learning.memory import report_out_of_memory
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.predict import raw_outputs
from annotate.learning.prepared import Prepared, TrainingSet, prepare
from annotate.learning.progress import ProgressReporter
from annotate.learning.requirements import FEWEST_VALID
from annotate.learning.results import Epoch, Fitted
from annotate.learning.resume import Checkpointer
from annotate.learning.search import search
from annotate.learning.seeds import member_seed
from annotate.learning.trainer import fit
from annotate.options import parse_options
from annotate.progress import SILENT, Progress
from annotate.registry import ENSEMBLES
from annotate.types import Kind

SMALLEST_NOISE = 0.05
"""Lower bound of the noise as a share of the scale's width: raters do not agree better."""
LEAST_UNEXPLAINED = 0.5
"""Lower bound of the noise as a share of the labels' spread if it is estimated on train samples, which the
network has seen."""


@report_out_of_memory()
def fit_ensemble(
    training_set: TrainingSet,
    config: ModelConfig,
    *,
    seed: int,
    device: str,
    progress: Progress = SILENT,
    keep: Path | None = None,
    events: Path | None = None,
    cache_graphs: bool = False,
) -> Checkpoint:
    """Train the ensemble that `config` names.

    A training that was killed resumes if it is started again with the same folder `keep`, and ends with the
    same weights. Logs for TensorBoard are written into the folder `events`. `cache_graphs` speeds up many
    trainings of one kind (see `annotate.learning.graph_cache`).
    Raises `ModelError` when features or the loss are not finite or the memory is too small, `UnknownName` or
    `ConfigError` for invalid settings.
    """
    checkpointer = None if keep is None else Checkpointer(keep, progress.say)
    prepared = replace(
        prepare(training_set, config, device), checkpointer=checkpointer, cache_graphs=cache_graphs
    )
    chosen, searched = search(prepared, seed)
    prepared = replace(prepared, config=chosen)
    with progress.bar("train", config.epochs) as bar:
        trained = _train(
            prepared, seed, [ProgressReporter(bar), *([] if events is None else [Events(events)])]
        )
    with repeatable(seed, device):
        noise = _noise(prepared, trained)
    net = prepared.network(0)
    net.load_state_dict(dict(trained.states[0]))
    searches = [searched.sentence()] if searched else []
    return Checkpoint(
        config=prepared.config,
        tasks=training_set.tasks,
        extractors=dict(training_set.extractors),
        widths=prepared.widths,
        standardisers=prepared.standardisers,
        targets=prepared.targets,
        noise=noise,
        members=trained.states,
        fitted=trained.fitted,
        combination=trained.combination,
        search=searched,
        notes=(*searches, *net.sharing.notes(), *trained.notes),
    )


def _train(prepared: Prepared, seed: int, reporters: Sequence[ProgressReporter | Events]) -> Trained:
    def report(epoch: Epoch) -> None:
        for reporter in reporters:
            reporter(epoch)

    def fit(
        seeds: Sequence[int],
        weights: Tensor | None = None,
        rows: Tensor | None = None,
        sees: Sequence[str] = (),
    ) -> tuple[list[State], list[Fitted]]:
        for reporter in reporters:
            reporter.begin()
        fitted = fit_members(prepared, seeds, weights, rows, sees, report)
        for reporter in reporters:
            reporter.end()
        return fitted

    config = prepared.config
    options = parse_options(ENSEMBLES, config.ensemble, config.options_for(config.ensemble))
    ensemble = cast(Ensemble, ENSEMBLES.get(config.ensemble)(options))
    return ensemble.train(
        EnsembleContext(
            members=config.members,
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
    """One network per seed, trained in parallel; see `EnsembleContext.fit`."""
    nets = [prepared.network(seed) for seed in seeds]
    train = prepared.train if rows is None else prepared.train.take(rows)
    with repeatable(seeds[0], prepared.device):
        nets[0].sharing.pretrain(nets, partial(_train_tasks, prepared, train, seeds))
        members = Members(nets, prepared.device, sees)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        fitted = fit(
            members, train, prepared.valid, prepared.config, generators, on_epoch, sample_weights=weights,
            checkpointer=prepared.checkpointer, cache_graphs=prepared.cache_graphs,
        )  # fmt: skip
    return list(members.states()), fitted


def _train_tasks(
    prepared: Prepared,
    train: Batch,
    seeds: Sequence[int],
    nets: Sequence[MultiTaskNet],
    task_ids: Sequence[str],
    epochs: int,
) -> None:
    """Train networks in place on the labels of some tasks, for a number of epochs."""
    known = {i: mask if i in task_ids else torch.zeros_like(mask) for i, mask in train.known.items()}
    members = Members(nets, prepared.device)
    generators = [torch.Generator().manual_seed(member_seed(seed, 1)) for seed in seeds]
    config = replace(prepared.config, epochs=epochs, compile=False)  # too short to pay
    fit(
        members,
        replace(train, known=known),
        None,
        config,
        generators,
        checkpointer=prepared.checkpointer,
        cache_graphs=prepared.cache_graphs,
    )
    for net, state in zip(nets, members.states(), strict=True):
        net.load_state_dict(state)


def _ask(
    prepared: Prepared, states: Sequence[State], batch: Batch, sees: Sequence[str] = ()
) -> dict[str, RawOutputs]:
    members = restore(prepared.widths, prepared.tasks, prepared.config, states, prepared.device, sees)
    return raw_outputs(members, batch.inputs).heads


def _noise(prepared: Prepared, trained: Trained) -> dict[str, float]:
    """By task id: standard deviation of label minus ensemble mean, on the scale; only for regression heads
    that do not predict their own noise."""
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
        weights = trained.combination.shares.get(task_id)
        shares = None if weights is None else np.array(weights)
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


def _residual(head: Head, raw: RawOutputs, batch: Batch, shares: Shares) -> float | None:
    """Root mean square of label minus ensemble mean, in unit scale."""
    known = batch.known[head.task.id].cpu().numpy()
    encoded = batch.targets[head.task.id].cpu().double().numpy()
    errors = head.residuals(raw[:, known], encoded[known], shares)
    return None if errors is None else float(np.sqrt(np.mean(np.square(errors))))
