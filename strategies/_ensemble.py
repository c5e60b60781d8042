"""Statistics of an ensemble's predictions, in pieces, so that no second copy of a large pool is needed."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from annotate.types import TaskPrediction

PIECE = 16384
"""Samples at a time, so that one member's predictions of them stay in the CPU cache."""
TINY = np.float32(1e-30)
"""Replaces a probability of zero in logarithms."""
Probs = NDArray[np.float32]
Scores = NDArray[np.float64]


def pieces(n: int) -> Iterator[slice]:
    """Slices that cover n samples in order."""
    return (slice(start, min(start + PIECE, n)) for start in range(0, n, PIECE))


def by_mean(prediction: TaskPrediction, score: Callable[[Probs], NDArray[np.floating]]) -> Scores:
    """(n,) `score` of the (some, answers) mean of the ensemble, piece by piece."""
    result = np.empty(prediction.members.shape[1])
    for rows in pieces(len(result)):
        result[rows] = score(mean_of(prediction, rows))
    return result


def by_members(prediction: TaskPrediction, score: Callable[[Probs], NDArray[np.floating]]) -> Scores:
    """(n,) `score` of the (members, some, answers), piece by piece."""
    result = np.empty(prediction.members.shape[1])
    for rows in pieces(len(result)):
        result[rows] = score(prediction.members[:, rows])
    return result


def shares_of(prediction: TaskPrediction) -> NDArray[np.float32]:
    """(members,) weights of the members, which sum to one."""
    members = len(prediction.members)
    if prediction.shares is None:
        return np.full(members, 1 / members, np.float32)
    return prediction.shares.astype(np.float32)


def mean_of(prediction: TaskPrediction, rows: slice) -> Probs:
    """(some, answers) mean over the members; a view, not a copy, if there is one member."""
    members = prediction.members
    if len(members) == 1:
        return members[0, rows]
    mean = np.zeros(members[0, rows].shape, np.float32)
    for member, share in zip(members, shares_of(prediction), strict=True):
        mean += member[rows] * share
    return mean


def summed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums over the last axis; faster than numpy, which handles a short axis row by row."""
    total = values[..., 0].copy()
    for answer in range(1, values.shape[-1]):
        total += values[..., answer]
    return total


def plogp(probs: Probs) -> Probs:
    """p log p in nats, and 0 for 0."""
    return probs * np.log(np.maximum(probs, TINY))


def entropy(probs: Probs) -> NDArray[np.float32]:
    """Over the last axis, in nats."""
    return -summed(plogp(probs))


def bernoulli(probs: Probs) -> Probs:
    """Entropy, in nats, of each answer that is ticked with this probability."""
    return -plogp(probs) - plogp(1 - probs)
