"""Presents one task of a round to modAL as a learner or committee, without computing anything again."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ModelError
from annotate.types import Kind, Pool


class RoundLearner:
    """A learner, committee or regressor for modAL's query strategies.

    It is made for one pool and accepts that pool's embeddings `X` or slices of them.
    """

    on_transformed = False

    def __init__(self, pool: Pool, task_id: str) -> None:
        self._prediction = pool.predictions[task_id]
        self.X_pool = pool.embeddings
        self.X_training = pool.known.embeddings
        """(m, d) embeddings of the labelled and asked samples."""
        self.y_training = pool.known.labels.get(task_id, np.full(len(pool.known), np.nan))
        """(m,) values or class indices; (m, answers) of 1 and 0 for a multilabel task. NaN: no label."""
        self.classes_ = np.arange(self._prediction.members.shape[2])

    def __len__(self) -> int:
        return len(self._prediction.members)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def predict_proba(self, X: NDArray[Any], **_: Any) -> NDArray[np.float32]:
        """(rows, answers) mean over the members; for regression, of the cells around the answers."""
        return np.asarray(self._prediction.average(self._members(X)), np.float32)

    def predict(self, X: NDArray[Any], return_std: bool = False, **_: Any) -> Any:
        """(rows,) values or class indices; (rows, answers) of 1 and 0 for a multilabel task. With
        `return_std`, also the (rows,) standard deviation between the members."""
        rows = self._rows(X)
        several = self._prediction.task.dimension.kind is Kind.MULTILABEL
        predicted = (self.predict_proba(X) >= 0.5).astype(int) if several else self._prediction.mean[rows]
        if self._prediction.task.dimension.kind is Kind.CLASSIFICATION:
            predicted = predicted.astype(int)
        return (predicted, self._prediction.epistemic[rows]) if return_std else predicted

    def vote_proba(self, X: NDArray[Any], **_: Any) -> NDArray[np.float32]:
        """(rows, members, answers) probabilities by member."""
        return self._members(X).transpose(1, 0, 2)

    def vote(self, X: NDArray[Any], **_: Any) -> NDArray[np.intp]:
        """(rows, members) index of the likeliest answer by member."""
        return np.asarray(self.vote_proba(X).argmax(axis=2), dtype=np.intp)

    def transform_without_estimating(self, X: NDArray[Any]) -> NDArray[Any]:
        """The same `X`: distances are measured between embeddings."""
        return X

    def _members(self, X: NDArray[Any]) -> NDArray[np.float32]:
        return self._prediction.members[:, self._rows(X)]

    def _rows(self, X: NDArray[Any]) -> slice | NDArray[np.intp]:
        """Which rows of the pool these are. Equal samples may differ, so addresses in memory decide.

        Raises `ModelError` for rows that are not of the pool.
        """
        whole = self.X_pool
        if X is whole:
            return slice(None)
        width = whole.strides[0]
        if isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1:] == whole.shape[1:] and width:
            start, off = divmod(_address(X) - _address(whole), width)
            step, between = divmod(X.strides[0], width) if len(X) > 1 else (1, 0)
            rows = start + step * np.arange(len(X))
            if not off and not between and np.may_share_memory(X, whole):
                return rows
        raise ModelError(
            "it asks for predictions of rows that are not a slice of its pool",
            hint="use X itself, or slices such as X[:1000]",
        )


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])
