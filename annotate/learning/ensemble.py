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
"""Valid labels from which on their residuals say more about the noise than those of train."""
SMALLEST_NOISE = 0.05
"""Share of the scale's width that the noise is never below, because few labels are fitted too well."""


@dataclass(frozen=True, slots=True)
class Material:
    """What is learned from: samples with at least one label each, ordered by id."""

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
    material: Material, recipe: Recipe, *, seed: int, device: str, progress: Progress = SILENT
) -> Checkpoint:
    """Train `recipe.members` networks, one after the other.

    Each has its own first weights and its own bootstrap sample of the train rows (Breiman 1996, Bagging
    predictors). Deep ensembles (Lakshminarayanan et al. 2017) do without the bootstrap where labels
    abound; with the few labels of a young project it makes disagreement follow the error more closely,
    as `benchmarks/ensemble.py` measures.

    Raises `ModelError` when features or the loss are not finite.
    """
    standardisers, targets, train, valid = _prepare(material)
    fitted: list[Fitted] = []
    nets: list[MultiTaskNet] = []
    train, valid = train.to(device), valid.to(device) if valid else None
    with progress.bar("train", recipe.members * recipe.epochs) as bar:
        for member in range(recipe.members):
            net, how = _fit_member(material, train, valid, recipe, _member_seed(seed, member), device, bar)
            bar.advance(recipe.epochs - how.epochs, note=f"network {member + 1} of {recipe.members} done")
            nets.append(net)
            fitted.append(how)
    return Checkpoint(
        recipe=recipe,
        tasks=material.tasks,
        extractors=dict(material.extractors),
        standardisers=standardisers,
        targets=targets,
        noise=_noise(material.tasks, targets, nets, train, valid),
        members=tuple({k: v.detach().cpu() for k, v in net.state_dict().items()} for net in nets),
        fitted=tuple(fitted),
    )


def _prepare(
    material: Material,
) -> tuple[dict[Modality, Standardiser], dict[str, Target], Batch, Batch | None]:
    modalities = tuple(material.extractors)
    train = read_condensed(material.read, modalities, material.train)
    standardisers = fit_standardisers(train)
    targets = {t.id: Target.fit(t, _train_labels(material, t)) for t in material.tasks}
    batch = make_batch(
        train, standardisers, *encode_labels(material.tasks, material.train, material.labels, targets)
    )
    if not material.valid:
        return standardisers, targets, batch, None
    watched = make_batch(
        read_condensed(material.read, modalities, material.valid),
        standardisers,
        *encode_labels(material.tasks, material.valid, material.labels, targets),
    )
    return standardisers, targets, batch, watched


def _train_labels(material: Material, task: Task) -> list[Label]:
    return [
        material.labels[sample_id, task.id]
        for sample_id in material.train
        if (sample_id, task.id) in material.labels
    ]


def _member_seed(seed: int, member: int) -> int:
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0])


def _fit_member(
    material: Material,
    train: Batch,
    valid: Batch | None,
    recipe: Recipe,
    seed: int,
    device: str,
    bar: Bar,
) -> tuple[MultiTaskNet, Fitted]:
    with repeatable(seed, device):
        widths = {m: values.shape[-1] for m, values in train.values.items()}
        net = MultiTaskNet(widths, material.tasks, recipe.hidden, recipe.dropout).to(device)
        generator = torch.Generator().manual_seed(seed)
        drawn = _bootstrap(len(train), generator).to(device)
        how = fit(net, train.take(drawn), valid, recipe, generator, bar.advance)
    return net.eval(), how


def _bootstrap(n: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(n, (n,), generator=generator)


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
            residual = _residual(task, nets, valid if valid is not None and enough else train)
            width = task.dimension.high - task.dimension.low
            noise[task.id] = max(residual * targets[task.id].scale, SMALLEST_NOISE * width)
    return noise


def _residual(task: Task, nets: Sequence[MultiTaskNet], batch: Batch) -> float:
    """Root mean square of label minus ensemble mean, in unit scale."""
    known = batch.known[task.id].cpu().numpy()
    mean = unit_means(raw_outputs(nets, batch)[0][task.id]).mean(axis=0)
    return float(np.sqrt(np.mean((mean - batch.targets[task.id].cpu().numpy())[known] ** 2)))
