"""Combines the scores of a sample in several tasks, some of which are labelled, into one."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ConfigError

Scores = NDArray[np.float64]
Mask = NDArray[np.bool_]
Chance = np.random.Generator

SMOOTHING = 60
"""Constant of reciprocal rank fusion: the larger, the less the first ranks count (Cormack et al. 2009)."""


EXACT = 65536
"""Samples for which the tasks take turns one by one; no batch is larger. The rest follows in order."""


def combine(
    scores: Mapping[str, Scores],
    missing: Mapping[str, Mask],
    n: int,
    how: str,
    rng: np.random.Generator,
) -> Scores:
    """(n,) from (n,) scores by task id; scores of tasks that a sample has a label for are ignored.

    Entropies of three and of seven answers cannot be averaged, but ranks within each task can. The scores of
    a single task that no sample has a label for are returned as they are.
    """
    names = sorted(scores)
    if not names:
        return np.zeros(n)
    if len(names) == 1 and missing[names[0]].all():
        return scores[names[0]]
    wanted = np.stack([missing[name] for name in names])
    return COMBINATIONS[how](np.stack([scores[name] for name in names]), wanted, rng)


def ranks(scores: Scores) -> Scores:
    """(n,) ranks in (0, 1), 1 for the highest score; equal scores share the mean of their ranks.

    The mean is ½ for any n, so a sample that is alone in its task is neither first nor last.
    """
    _, position, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    return np.asarray(middle[position] / len(scores))


def _ranked(scores: Scores, wanted: Mask) -> Scores:
    """(tasks, n) ranks within each task; 0 where the label is known."""
    ranked = np.zeros(scores.shape)
    for row, values, mask in zip(ranked, scores, wanted, strict=True):
        row[mask] = ranks(values[mask])
    return ranked


def _mean(scores: Scores, wanted: Mask, _: Chance) -> Scores:
    """Mean rank over the tasks without a label (Rotman and Reichart 2022, section 4)."""
    return np.asarray(_ranked(scores, wanted).sum(axis=0) / np.maximum(wanted.sum(axis=0), 1))


def _max(scores: Scores, wanted: Mask, _: Chance) -> Scores:
    """Highest rank in any task."""
    return np.asarray(_ranked(scores, wanted).max(axis=0))


def _rrf(scores: Scores, wanted: Mask, _: Chance) -> Scores:
    """Reciprocal rank fusion: the sum of 1 / (60 + rank) (Cormack, Clarke and Büttcher 2009)."""
    return np.asarray(np.where(wanted, 1 / (SMOOTHING + _places(scores, wanted)), 0).sum(axis=0))


def _quota(scores: Scores, wanted: Mask, rng: Chance) -> Scores:
    """The tasks take turns, each with its best sample left; the score is minus the position in that order."""
    n = scores.shape[1]
    by_chance = rng.permutation(n)
    queues = [_falling(row, mask, by_chance) for row, mask in zip(scores, wanted, strict=True)]
    place = np.full(n, n + 1.0)
    for queue in queues:
        place[queue] = np.minimum(place[queue], np.minimum(EXACT + np.arange(len(queue)), n))
    for turn, sample in enumerate(turns([queue[:EXACT].tolist() for queue in queues], EXACT)):
        place[sample] = turn
    return -place


def _falling(scores: Scores, wanted: Mask, by_chance: NDArray[np.intp]) -> NDArray[np.intp]:
    """Positions without a label, the highest score first, ties in the order of `by_chance`."""
    drawn = by_chance[wanted[by_chance]]
    return drawn[np.argsort(-scores[drawn], kind="stable")]


def turns(queues: list[list[int]], most: int) -> Iterator[int]:
    """At most `most` different samples, taken from each queue in turn."""
    taken: set[int] = set()
    waiting = [iter(queue) for queue in queues]
    while waiting and len(taken) < most:
        for queue in list(waiting):
            sample = next((s for s in queue if s not in taken), None)
            if sample is None:
                waiting.remove(queue)
            else:
                taken.add(sample)
                yield sample


def _sum(scores: Scores, wanted: Mask, _: Chance) -> Scores:
    """Sum, for scores of one unit such as nats. Negative scores are shifted so that the lowest is zero:
    a labelled task, which adds nothing, is then never worth more than one without a label."""
    values = np.where(wanted, scores, 0)
    return np.asarray(np.where(wanted, values - values.min(axis=1, keepdims=True, initial=0), 0).sum(axis=0))


def _places(scores: Scores, wanted: Mask) -> Scores:
    """(tasks, n) rank, 1 for the best of a task; equal scores share the mean of their ranks."""
    counts = wanted.sum(axis=1, keepdims=True)
    return np.asarray(0.5 + counts * (1 - _ranked(scores, wanted)))


class _Combinations(dict[str, Callable[[Scores, Mask, Chance], Scores]]):
    """Ways to combine scores, by name."""

    def require(self, name: str) -> None:
        """Raises `ConfigError` for an unknown name."""
        if name not in self:
            close = get_close_matches(name, self, n=1)
            raise ConfigError(
                f"several tasks cannot be combined by {name!r}",
                hint=f"did you mean {close[0]!r}?" if close else f"one of {', '.join(self)}",
            )


COMBINATIONS = _Combinations(mean=_mean, max=_max, rrf=_rrf, quota=_quota, sum=_sum)
