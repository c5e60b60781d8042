"""Several networks on the same labels: where they disagree, the labels have not decided yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from annotate.learning.batches import (
    Batch,
    FeatureReader,
    Standardiser,
    Target,
    encode_labels,
    fit_standardisers,
    make_batch,
    read_condensed,
)
from annotate.learning.checkpoint import Checkpoint
from annotate.learning.device import repeatable
from annotate.learning.network import MultiTaskNet
from annotate.learning.predict import raw_outputs, unit_means
from annotate.learning.trainer import Fitted, Recipe, fit
from annotate.progress import SILENT, Bar, Progress
from annotate.types import Kind, Label, Modality, Task

FEWEST_VALID = 10
"""Valid samples from which on they tell when to stop, and valid labels of a task from which on they tell its
noise. Stopping by five cost 7 and 3 points of accuracy with 20 and 60 labels of RAVDESS."""
SMALLEST_NOISE = 0.05
"""Share of the scale's width that the noise is never below: raters do not agree better."""
LEAST_UNEXPLAINED = 0.5
"""Share of the labels' spread that the noise is never below while it is known from train only, where the
network has seen the answers."""


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


def fit_ensemble(
    training_set: TrainingSet, recipe: Recipe, *, seed: int, device: str, progress: Progress = SILENT
) -> Checkpoint:
    """Train `recipe.members` networks, one after the other.

    Each sees every label, in an order of its own, from first weights of its own (Lakshminarayanan et al.
    2017, Deep ensembles). A bootstrap sample per member instead cost 2 to 4 points of accuracy with 20 to
    50 % of the labels of RAVDESS, and disagreement told errors apart no better.

    Raises `ModelError` when features or the loss are not finite.
    """
    standardisers, targets, train, valid = _prepare(training_set)
    fitted: list[Fitted] = []
    nets: list[MultiTaskNet] = []
    train, valid = train.to(device), valid.to(device) if valid else None
    with progress.bar("train", recipe.members * recipe.epochs) as bar:
        for member in range(recipe.members):
            net, how = _fit_member(
                training_set, train, valid, recipe, _member_seed(seed, member), device, bar
            )
            bar.advance(recipe.epochs - how.epochs, note=f"network {member + 1} of {recipe.members} done")
            nets.append(net)
            fitted.append(how)
    with repeatable(seed, device):
        noise = _noise(training_set.tasks, targets, nets, train, valid)
    return Checkpoint(
        recipe=recipe,
        tasks=training_set.tasks,
        extractors=dict(training_set.extractors),
        standardisers=standardisers,
        targets=targets,
        noise=noise,
        members=tuple({k: v.detach().cpu() for k, v in net.state_dict().items()} for net in nets),
        fitted=tuple(fitted),
    )


def _prepare(
    training_set: TrainingSet,
) -> tuple[dict[Modality, Standardiser], dict[str, Target], Batch, Batch | None]:
    modalities = tuple(training_set.extractors)
    train = read_condensed(training_set.read, modalities, training_set.train)
    standardisers = fit_standardisers(train)
    targets = {t.id: Target.fit(t, _train_labels(training_set, t)) for t in training_set.tasks}
    batch = make_batch(
        train,
        standardisers,
        *encode_labels(training_set.tasks, training_set.train, training_set.labels, targets),
    )
    if len(training_set.valid) < FEWEST_VALID:
        return standardisers, targets, batch, None
    watched = make_batch(
        read_condensed(training_set.read, modalities, training_set.valid),
        standardisers,
        *encode_labels(training_set.tasks, training_set.valid, training_set.labels, targets),
    )
    return standardisers, targets, batch, watched


def _train_labels(training_set: TrainingSet, task: Task) -> list[Label]:
    return [
        training_set.labels[sample_id, task.id]
        for sample_id in training_set.train
        if (sample_id, task.id) in training_set.labels
    ]


def _member_seed(seed: int, member: int) -> int:
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0])


def _fit_member(
    training_set: TrainingSet,
    train: Batch,
    valid: Batch | None,
    recipe: Recipe,
    seed: int,
    device: str,
    bar: Bar,
) -> tuple[MultiTaskNet, Fitted]:
    with repeatable(seed, device):
        widths = {m: values.shape[-1] for m, values in train.values.items()}
        net = MultiTaskNet(widths, training_set.tasks, recipe.hidden, recipe.dropout).to(device)
        generator = torch.Generator().manual_seed(seed)
        how = fit(net, train, valid, recipe, generator, bar.advance)
    return net.eval(), how


def _noise(
    tasks: Sequence[Task],
    targets: Mapping[str, Target],
    nets: Sequence[MultiTaskNet],
    train: Batch,
    valid: Batch | None,
) -> dict[str, float]:
    noise: dict[str, float] = {}
    for task in tasks:
        if task.dimension.kind is Kind.REGRESSION:
            enough = valid is not None and int(valid.known[task.id].sum()) >= FEWEST_VALID
            if valid is not None and enough:
                residual = _residual(task, nets, valid)
            else:
                residual = max(_residual(task, nets, train), LEAST_UNEXPLAINED)
            width = task.dimension.high - task.dimension.low
            noise[task.id] = max(residual * targets[task.id].scale, SMALLEST_NOISE * width)
    return noise


def _residual(task: Task, nets: Sequence[MultiTaskNet], batch: Batch) -> float:
    """Root mean square of label minus ensemble mean, in unit scale."""
    known = batch.known[task.id].cpu().numpy()
    mean = unit_means(raw_outputs(nets, batch)[0][task.id]).mean(axis=0)
    return float(np.sqrt(np.mean((mean - batch.targets[task.id].cpu().numpy())[known] ** 2)))
