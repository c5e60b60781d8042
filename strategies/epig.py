"""Expected predictive information gain: what an answer tells about the answers to other samples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, TaskPrediction
from strategies._ensemble import TINY, Probs, Scores, pieces, plogp, shares_of, summed
from strategies._scored import ScoredStrategy
from strategies.bald import noise_of

JOINT = 1 << 18
"""Joint probabilities that are held in memory at once."""


@dataclass(frozen=True, slots=True)
class EpigOptions:
    """Options of `epig`."""

    combine: str = "sum"
    """As for the other strategies; scores in nats can be summed over the tasks."""
    targets: int = 100
    """Samples, drawn from the pool and the labelled ones, whose answers are to become more certain."""


@strategy("epig")
class Epig(ScoredStrategy):
    """Most information about the answers to random samples, in nats (Bickford Smith et al. 2023).

    The score is the mean mutual information H(y) + H(y*) - H(y, y*) between the answer and the answers to
    `targets` (100) samples, which are drawn from the pool and the labelled samples. It is exact for
    classes; for a multilabel task it is summed over the answers; for a regression task it is -½ log(1 -
    ρ²), where ρ is the correlation between the members, reduced by the noise. All are in nats, so the
    tasks are summed.
    """

    kinds = frozenset(Kind)
    Options = EpigOptions
    needs = frozenset({Requirement.MODEL, Requirement.LABELS})
    disagrees = True

    def score(self, prediction: TaskPrediction, pool: Pool) -> Scores:
        """(n,) scores for targets that are spaced evenly over the pool, since there is no `rng`."""
        return self.drawn_score(prediction, pool, None)

    def drawn_score(self, prediction: TaskPrediction, pool: Pool, rng: np.random.Generator | None) -> Scores:
        """(n,) mean mutual information between the sample's answer and that of each target (section 4).

        For regression, that of two normals whose means are correlated over the members. For a multilabel
        task, that of each answer with the same answer of the targets, summed.
        """
        target = _targets(prediction, pool, self.options.targets, rng)
        kind = prediction.task.dimension.kind
        if kind is Kind.REGRESSION:
            return _normal(prediction, target)
        shares = shares_of(prediction)
        if kind is Kind.CLASSIFICATION:
            return _classes(prediction.members, target.members, shares)
        each = range(prediction.members.shape[2])
        return sum((_classes(_apart(prediction, a), _apart(target, a), shares) for a in each), np.zeros(1))


def _targets(
    prediction: TaskPrediction, pool: Pool, most: int, rng: np.random.Generator | None
) -> TaskPrediction:
    """Predictions of the target samples, at most `most`."""
    n = prediction.members.shape[1]
    known = pool.known.predictions.get(prediction.task.id)
    labelled = 0 if known is None else known.members.shape[1]
    most = max(1, min(most, n + labelled))
    rows = np.linspace(0, n - 1, most, dtype=np.intp) if rng is None else rng.permutation(n + labelled)[:most]
    of_pool = prediction.of(rows[rows < n])
    if known is None or (rows < n).all():
        return of_pool
    of_known = known.of(rows[rows >= n] - n)
    return TaskPrediction(
        prediction.task,
        np.concatenate([of_pool.members, of_known.members], axis=1),
        np.concatenate([of_pool.mean, of_known.mean]),
        np.concatenate([of_pool.epistemic, of_known.epistemic]),
        np.concatenate([of_pool.aleatoric, of_known.aleatoric]),
        prediction.shares,
    )


def _apart(prediction: TaskPrediction, answer: int) -> Probs:
    """(members, n, 2) probabilities that one answer of a multilabel task is ticked, or not."""
    ticked = prediction.members[:, :, answer]
    return np.stack([ticked, 1 - ticked], axis=-1)


def _classes(members: Probs, targets: Probs, shares: NDArray[np.float32]) -> Scores:
    """(n,) H(y) + H(y*) - H(y, y*), mean over the targets; from (members, n or targets, answers).

    Given the member, the two answers are independent, so the joint probabilities of a block of samples are
    one matrix product. Only one block is in memory: a million samples would have five billion.
    """
    _, n, answers = members.shape
    count = targets.shape[1]
    there = (targets * shares[:, None, None]).reshape(len(targets), -1)
    alone = -float(plogp(there.sum(axis=0)).sum(dtype=np.float64)) / count
    result = np.empty(n)
    step = max(1, JOINT // (answers * there.shape[1]))
    for start in range(0, n, step):
        here = members[:, start : start + step]
        joint = here.reshape(len(here), -1).T @ there
        logs = np.maximum(joint, TINY)
        np.log(logs, out=logs)
        joint_information = np.einsum("ij,ij->i", joint, logs).reshape(-1, answers).sum(axis=1) / count
        mean = np.tensordot(shares, here, 1)
        result[start : start + step] = alone - summed(plogp(mean)) + joint_information
    return np.maximum(result, 0)


def _normal(prediction: TaskPrediction, targets: TaskPrediction) -> Scores:
    """(n,) -½ log(1 - ρ²), mean over the targets (section 4.2).

    ρ is the correlation over the members, reduced by the share of each variance that is noise.
    """
    shares = shares_of(prediction)
    there = _standard(targets, shares)
    result = np.empty(prediction.members.shape[1])
    for rows in pieces(len(result)):
        here = _standard(prediction.of(np.arange(rows.start, rows.stop)), shares)
        correlation = np.minimum((here.T @ there) ** 2, 1 - 1e-9)
        result[rows] = -0.5 * np.log1p(-correlation).mean(axis=1)
    return result


def _standard(prediction: TaskPrediction, shares: NDArray[np.float32]) -> NDArray[np.float64]:
    """(members, n) deviations of the members, scaled so that their products are correlations of answers."""
    values = np.array([float(a.value) for a in prediction.task.dimension.answers])
    means = prediction.members.astype(np.float64) @ values
    apart = (means - shares @ means) * np.sqrt(shares)[:, None]
    spread = np.linalg.norm(apart, axis=0)
    own = prediction.epistemic.astype(np.float64)
    certain = own / np.sqrt(own**2 + noise_of(prediction) ** 2)
    return np.asarray(apart / np.where(spread > 0, spread, 1) * certain)
