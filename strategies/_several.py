"""One score of a sample from its scores in several tasks, some of which have their label."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ConfigError

Scores = NDArray[np.float64]
Mask = NDArray[np.bool_]
Chance = np.random.Generator

SMOOTHING = 60
"""Of reciprocal ranks: how little the very first places stand out (Cormack, Clarke and Büttcher 2009)."""


EXACT = 65536
"""Samples for which the tasks take turns one by one. No batch is larger; what follows is in order."""


def combine(
    scores: Mapping[str, Scores],
    missing: Mapping[str, Mask],
    n: int,
    how: str,
    rng: np.random.Generator,
) -> Scores:
    """(n,) from (n,) scores by task id; those of samples that have a task's label are not looked at.

    Entropies of three and of seven answers cannot be averaged; ranks can: each task's samples are ranked by
    themselves. Of one task that every sample misses the scores stay what they are.
    """
    names = sorted(scores)
    if not names:
        return np.zeros(n)
    if len(names) == 1 and missing[names[0]].all():
        return scores[names[0]]
    wanted = np.stack([missing[name] for name in names])
    return COMBINATIONS[how](np.stack([scores[name] for name in names]), wanted, rng)


def ranks(scores: Scores) -> Scores:
    """(n,) in (0, 1), the highest score highest; equal scores share the mean of their ranks. The mean is ½
    however many there are: who is alone in its task stands neither first nor last."""
    _, position, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    return np.asarray(middle[position] / len(scores))


def _ranked(scores: Scores, wanted: Mask) -> Scores:
    """(tasks, n) ranks within each task; 0 where nothing is wanted."""
    found = np.zeros(scores.shape)
    for row, values, mask in zip(found, scores, wanted, strict=True):
        row[mask] = ranks(values[mask])
    return found


def _mean(scores: Scores, wanted: Mask, _: Chance) -> Scores:
    """Over the tasks that lack a label (Rotman and Reichart 2022, section 4)."""
    return np.asarray(_ranked(scores, wanted).sum(axis=0) / np.maximum(wanted.sum(axis=0), 1))


def _max(scores: Scores, wanted: Mask, _: Chance) -> Scores:
    """Whatever one task wants most."""
    return np.asarray(_ranked(scores, wanted).max(axis=0))


def _rrf(scores: Scores, wanted: Mask, _: Chance) -> Scores:
    """Reciprocal rank fusion: the sum of 1 / (60 + place) (Cormack, Clarke and Büttcher 2009)."""
    return np.asarray(np.where(wanted, 1 / (SMOOTHING + _places(scores, wanted)), 0).sum(axis=0))


def _quota(scores: Scores, wanted: Mask, rng: Chance) -> Scores:
    """The tasks take turns, each with its best that is left: minus the place at which a sample comes."""
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
    """Positions of what is wanted, the highest score first, equals in the order of `by_chance`."""
    drawn = by_chance[wanted[by_chance]]
    return drawn[np.argsort(-scores[drawn], kind="stable")]


def turns(queues: list[list[int]], most: int) -> Iterator[int]:
    """At most so many different samples, taken from each queue in turn."""
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
    """What is measured in one unit may be added: nats of all tasks. Scores below zero are counted from the
    lowest, so that a task with its label, which adds nothing, is never worth more than one without."""
    told = np.where(wanted, scores, 0)
    return np.asarray(np.where(wanted, told - told.min(axis=1, keepdims=True, initial=0), 0).sum(axis=0))


def _places(scores: Scores, wanted: Mask) -> Scores:
    """(tasks, n) 1 for the best of a task; equals share the mean of their places."""
    counts = wanted.sum(axis=1, keepdims=True)
    return np.asarray(0.5 + counts * (1 - _ranked(scores, wanted)))


class _Combinations(dict[str, Callable[[Scores, Mask, Chance], Scores]]):
    """By name."""

    def require(self, name: str) -> None:
        """Raises `ConfigError` for a name that is none."""
        if name not in self:
            close = get_close_matches(name, self, n=1)
            raise ConfigError(
                f"several tasks cannot be combined by {name!r}",
                hint=f"did you mean {close[0]!r}?" if close else f"one of {', '.join(self)}",
            )


COMBINATIONS = _Combinations(mean=_mean, max=_max, rrf=_rrf, quota=_quota, sum=_sum)
