"""A batch whose answers together give the most information about the model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, Selection
from strategies._ensemble import Probs, Scores, entropy, shares_of
from strategies._top import top
from strategies.bald import Bald

BLOCK = 32
"""Candidates whose gains are computed together."""
LEAST = 64
"""Smallest number of drawn combinations of answers, however many questions there are."""
PER_SAMPLE = 10
"""Smallest number of candidates for each sample of the batch."""
NOTHING = 1e-5
"""Nats below which a gain is rounding error, so that the members no longer disagree."""


@dataclass(frozen=True, slots=True)
class BatchBaldOptions:
    """Options of `batch-bald`."""

    candidates: int = 1000
    """Samples with the highest BALD among which the batch is searched; at least ten per sample of the
    batch."""
    draws: int = 1000
    """Largest number of combinations of answers for which the joint entropy is exact; beyond it, so many
    are drawn. It is divided among the questions of a sample, down to 64."""


@strategy("batch-bald")
class BatchBald:
    """Most information of the batch as a whole about the model, greedily (Kirsch et al. 2019).

    Greedily adds the sample that raises the joint mutual information between all answers to the batch and
    the ensemble member most, in nats. It searches the `candidates` (1000, at least 10 for each sample of
    the batch) with the highest BALD. The joint entropy is exact while there are at most `draws` (1000)
    combinations of answers, and estimated over drawn combinations beyond that. A regression scale counts
    as the cells around its answers. An ensemble of m members holds log m nats of information; the rest of
    the batch then follows in the order of BALD.
    """

    Options: ClassVar[type] = BatchBaldOptions
    needs = frozenset({Requirement.MODEL})
    kinds = frozenset(Kind)
    ranks_by_uncertainty = True

    def __init__(self, options: Any = None) -> None:
        self.options = options or BatchBaldOptions()

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """`k` samples; the score of each is the information that it adds to those before it, in nats.

        Lazy greedy: the information is submodular, so old gains are upper bounds (Nemhauser, Wolsey and
        Fisher 1978). Samples that follow in the order of BALD have score 0. Raises as
        `ScoredStrategy.select`.
        """
        bald = Bald().pool_scores(pool, rng)
        candidates = top(bald, max(self.options.candidates, PER_SAMPLE * k, k), rng)
        joint = Joint(pool.of(candidates), max(self.options.draws, 1), rng)
        picks = list(joint.greedy(min(k, len(candidates))))
        chosen = [row for row, _ in picks]
        rest = np.setdiff1d(np.arange(len(candidates)), chosen)[: k - len(picks)]
        scores = np.zeros(len(picks) + len(rest))
        scores[: len(picks)] = np.minimum.accumulate([gain for _, gain in picks]) if picks else []
        return Selection(candidates[[*chosen, *rest.tolist()]], scores)


class Joint:
    """Joint information of the answers to the chosen samples about the ensemble member.

    Given the member, all answers are independent between samples and tasks. So each combination of answers so
    far is described by its probability and the posterior weights of the members.
    """

    def __init__(self, pool: Pool, draws: int, rng: np.random.Generator) -> None:
        self.questions = list(_questions(pool))
        self._doubts = [entropy(q) for q in self.questions]
        self._draws = min(draws, max(LEAST, draws // max(len(self.questions), 1)))
        self._rng = rng
        self.probabilities: Probs = np.ones(1, np.float32)
        """(combinations,)"""
        self.shares: Probs = _prior(pool)[None]
        """(combinations, members) posterior weights."""
        self._luck: NDArray[np.float64] = np.zeros((1, 1))
        if len(self.questions) > 1:
            self._multiply()

    def greedy(self, k: int) -> Iterator[tuple[int, float]]:
        """(candidate, nats that it adds), until there are `k` or nothing adds information."""
        n = self.questions[0].shape[1] if self.questions else 0
        bounds = np.full(n, np.inf)
        for _ in range(min(k, n)):
            best = self._best(bounds)
            if bounds[best] < NOTHING:
                return
            yield best, float(bounds[best])
            self.answer(best)
            bounds[best] = -np.inf

    def _best(self, bounds: Scores) -> int:
        """The candidate of the largest gain; updates the bounds that could be the largest."""
        stale = np.isfinite(bounds) | (bounds > 0)
        while True:
            best = int(np.argmax(np.where(stale, -np.inf, bounds))) if not stale.all() else -1
            reach = np.where(stale, bounds, -np.inf)
            if best >= 0 and not stale[best] and bounds[best] >= reach.max(initial=-np.inf):
                return best
            rows = np.sort(np.argpartition(-reach, min(BLOCK, len(reach) - 1))[:BLOCK])
            rows = rows[stale[rows]]
            bounds[rows] = self.gains(rows)
            stale[rows] = False

    def gains(self, rows: NDArray[np.intp]) -> Scores:
        """(rows,) nats that the answers to all questions about each sample add."""
        shares: Probs = np.broadcast_to(self.shares, (len(rows), *self.shares.shape))
        total = np.zeros(len(rows))
        for number, (question, doubts) in enumerate(zip(self.questions, self._doubts, strict=True)):
            of_rows = question[:, rows].transpose(1, 0, 2)
            likely = shares @ of_rows
            information = entropy(likely) - (shares @ doubts[:, rows].T[:, :, None])[..., 0]
            total += information @ self.probabilities
            if number + 1 < len(self.questions):
                answers = self._drawn(likely, self._luck[:, number])
                shares = _posterior(shares, np.take_along_axis(of_rows, answers[:, None, :], axis=2))
        return total

    def answer(self, row: int) -> None:
        """Add the sample to the batch."""
        for number, question in enumerate(self.questions):
            probs = question[:, row]
            likely = self.shares @ probs
            if likely.size <= self._draws and len(self.questions) == 1:
                self._branch(probs, likely)
                continue
            if len(self.probabilities) < self._draws:
                self._multiply()
                likely = self.shares @ probs
            luck = self._rng.random(len(likely)) if number == 0 else self._luck[:, number - 1]
            answers = self._drawn(likely, luck)
            self.shares = _posterior(self.shares, probs[:, answers])
        if len(self.questions) > 1:
            self._luck = self._rng.random(self._luck.shape)

    def _branch(self, probs: Probs, likely: Probs) -> None:
        """Continue with every answer."""
        probabilities = (self.probabilities[:, None] * likely).ravel()
        shares = (self.shares[:, None, :] * probs.T).reshape(len(probabilities), -1)
        there = probabilities > 0
        self.probabilities = probabilities[there]
        self.shares = shares[there] / shares[there].sum(axis=1, keepdims=True)

    def _multiply(self) -> None:
        """Repeat the combinations until there are as many as may be drawn."""
        times = -(-self._draws // len(self.probabilities))
        self.probabilities = np.repeat(self.probabilities / np.float32(times), times)
        self.shares = np.repeat(self.shares, times, axis=0)
        self._luck = self._rng.random((len(self.probabilities), max(len(self.questions) - 1, 1)))

    @staticmethod
    def _drawn(likely: Probs, luck: NDArray[np.float64]) -> NDArray[np.intp]:
        """(..., combinations) answers drawn by (..., combinations, answers) probabilities."""
        reached = np.cumsum(likely[..., :-1], axis=-1) < luck[:, None]
        return np.asarray(reached.sum(axis=-1), dtype=np.intp)


def _posterior(shares: Probs, likely: Probs) -> Probs:
    """(..., combinations, members) posterior weights after answers of these (..., members, combinations)
    likelihoods."""
    joint = shares * np.swapaxes(likely, -1, -2)
    total = joint.sum(axis=-1, keepdims=True)
    return np.where(total > 0, joint / np.maximum(total, np.float32(1e-38)), shares)


def _prior(pool: Pool) -> NDArray[np.float32]:
    """(members,) mean weight over the tasks."""
    asked = pool.asked()
    if not asked:
        return np.ones(1, np.float32)
    return np.mean([shares_of(pool.predictions[task_id]) for task_id in asked], axis=0, dtype=np.float32)


def _questions(pool: Pool) -> Iterator[Probs]:
    """(members, n, answers) of each question; each answer of a multilabel task is a question of its own. For
    a labelled sample all members give the same answer."""
    for task_id in pool.asked():
        prediction, wanted = pool.predictions[task_id], pool.missing[task_id]
        members = prediction.members
        if prediction.task.dimension.kind is Kind.MULTILABEL:
            answers = range(members.shape[2])
            questions = [np.stack([members[:, :, a], 1 - members[:, :, a]], -1) for a in answers]
        else:
            questions = [members.copy()]
        for question in questions:
            question[:, ~wanted] = np.eye(question.shape[2], dtype=np.float32)[0]
            yield question
