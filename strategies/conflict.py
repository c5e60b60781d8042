"""Disagreement between modalities."""

import numpy as np

from annotate.errors import ModelError
from annotate.registry import strategy
from annotate.types import Kind, Pool, TaskPrediction
from strategies._ensemble import Probs, Scores, mean_of, pieces
from strategies._scored import ScoredStrategy


@strategy("modality-conflict")
class ModalityConflict(ScoredStrategy):
    """Most disagreement of a dimension's heads across modalities (after CTIAL, Xu, Jiang and Wu 2024).

    The score is the standard deviation over the heads of one dimension (T, A, V, M): of their values as
    shares of the scale, or of their probabilities of the answers. It needs a dimension with at least two
    modalities.
    """

    kinds = frozenset(Kind)

    def score(self, prediction: TaskPrediction, pool: Pool) -> Scores:
        """(n,) standard deviation over the heads of the task's dimension: of their values as shares of the
        scale, or of their probabilities of all answers together.

        The same for each task of the dimension; 0 for a dimension of one modality.
        """
        heads = _heads(prediction, pool)
        result = np.zeros(prediction.members.shape[1])
        if len(heads) < 2:
            return result
        for rows in pieces(len(result)):
            values = np.stack([_on_common_scale(head, rows) for head in heads])
            result[rows] = np.sqrt(values.var(axis=0, dtype=np.float64).sum(axis=-1))
        return result

    def pool_scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """See `ScoredStrategy`. Also raises `ModelError` when no asked dimension has two heads."""
        asked = pool.asked()
        if asked and all(len(_heads(pool.predictions[task_id], pool)) < 2 for task_id in asked):
            raise ModelError(
                "modality-conflict compares modalities, but no dimension that is asked has two heads",
                hint="add modalities to protocol.passes, or choose another strategy: `--strategy entropy`",
            )
        return super().pool_scores(pool, rng)


def _heads(prediction: TaskPrediction, pool: Pool) -> list[TaskPrediction]:
    """Predictions of the same dimension, in the order of their ids."""
    dimension = prediction.task.dimension
    return [p for _, p in sorted(pool.predictions.items()) if p.task.dimension == dimension]


def _on_common_scale(head: TaskPrediction, rows: slice) -> Probs:
    """(some, 1) share of the scale, or (some, answers) probabilities."""
    dimension = head.task.dimension
    if dimension.kind is not Kind.REGRESSION:
        return mean_of(head, rows)
    return ((head.mean[rows] - dimension.low) / (dimension.high - dimension.low))[:, None]
