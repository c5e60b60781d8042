"""Replays one strategy with one seed, from the start set to the end: ask, train, score, choose."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from time import process_time

import numpy as np

from annotate.batch.choose import Streams, choose_batch
from annotate.batch.request import Request
from annotate.learning.metrics import main_score
from annotate.simulation.cost import ResourceUse, measured
from annotate.simulation.diagnostics import of_batch
from annotate.simulation.fit_round import FittedRound, fit_round, scores
from annotate.simulation.oracle import Oracle, PoolQuestion
from annotate.simulation.replay_data import ReplayData
from annotate.simulation.schedule import ReplaySchedule
from annotate.simulation.snapshot import oracle_snapshot

START, CHOICE = 11, 12
"""Streams of random numbers for one seed of a run."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of a learning curve: the state of a run after a round."""

    samples: float
    """Number of questions over that of passes: a sample with half its passes asked counts half."""
    labels: int
    """With votes each answer counts, because asking again is not free."""
    seconds: float
    """Rater time for the pool."""
    score: float
    """On the test samples: the mean over the tasks of their main scores."""
    scores: dict[str, dict[str, float]]
    """By task id: all scores."""
    asked: list[tuple[str, str]]
    """(sample id, pass) of the questions of this round, in the order in which they were chosen."""
    batch: dict[str, float | None]
    """What kind of batch it was, see `diagnostics`."""
    select_seconds: float | None = None
    """Processor time to choose; None for a start set."""
    select_bytes: int | None = None
    train_seconds: float | None = None
    """Processor time to train and score; the first strategy of a seed pays for the start set."""
    notes: list[str] = field(default_factory=list)


class Run:
    """A replay that grows by one point per round.

    Two runs with the same strategy, seed and data are equal.
    """

    def __init__(
        self, data: ReplayData, schedule: ReplaySchedule, name: str, seed: int, *, whole: bool = True
    ) -> None:
        """A run before its start. `whole`: see `Request`."""
        self.data, self.schedule, self.name, self.seed = data, schedule, name, seed
        self._whole = whole
        self._oracle = Oracle(data, seed)
        self._fitted: FittedRound | None = None
        self.points: list[CurvePoint] = []

    def resume(self, points: Sequence[CurvePoint]) -> None:
        """Continue after the stored points of this run."""
        rows = {sample_id: row for row, sample_id in enumerate(self.data.pool)}
        passes = {m.value: m for m in self.data.passes}
        for point in points:
            self._oracle.ask(PoolQuestion(rows[sample_id], passes[word]) for sample_id, word in point.asked)
            self.points.append(point)

    def rounds(self) -> Iterator[CurvePoint]:
        """Replay the remaining rounds."""
        for turn in range(len(self.points), len(self.schedule.budgets())):
            usage: ResourceUse | None = None
            notes: list[str] = []
            if turn == 0:
                questions = start_set(self.data, self.schedule, self.seed)
            else:
                questions, usage, notes = self._choose(turn)
            if not questions:
                return
            before = self._oracle.rows()
            self._oracle.ask(questions)
            started = process_time()
            self._fitted = self._fit(turn)
            point = score_point(self.data, self._oracle, self._fitted, questions, before)
            point = replace(point, train_seconds=process_time() - started, notes=notes)
            if usage is not None:
                point = replace(point, select_seconds=usage.seconds, select_bytes=usage.peak_bytes)
            self.points.append(point)
            yield point

    def rehearse(self) -> None:
        """Choose once after the start set, after which the run is of no more use.

        Raises what the strategy raises.
        """
        self._oracle.ask(start_set(self.data, self.schedule, self.seed))
        self._choose(1)

    def _fit(self, turn: int) -> FittedRound:
        if turn == 0:
            return _fit_start_set(self.data, self.schedule, self.seed)
        return fit_round(self.data, self.schedule, self._oracle, self.seed, turn)

    def _choose(self, turn: int) -> tuple[list[PoolQuestion], ResourceUse | None, list[str]]:
        """The questions of a round, what choosing them took, and notes; no questions when none are left."""
        fitted = self._fitted or self._fit(turn - 1)
        request = Request(self.name, self._whole)
        snapshot = oracle_snapshot(self.data, self._oracle, fitted, request, turn)
        if not snapshot.candidates:
            return [], None, []
        before, after = self.schedule.budgets()[turn - 1 : turn + 1]
        if request.whole:
            # As many questions as are left of the schedule's samples.
            questions_left = max(after * len(self.data.passes) - self._oracle.questions, 0)
            fewest = min(len(candidate.offered) for candidate in snapshot.candidates)
            request = replace(request, n=questions_left // fewest, most_questions=questions_left)
        else:
            # The time that the schedule's samples of this round would take if they were asked whole.
            request = replace(request, budget_seconds=(after - before) * whole_seconds(self.data))
        rng = np.random.default_rng([self.seed, CHOICE, turn])
        drawing, ordering, subsampling = rng.spawn(3)
        streams = Streams(drawing, rng, ordering, subsampling)
        batch, usage = measured(lambda: choose_batch(snapshot, self.name, request, streams))
        row_of = {sample_id: row for row, sample_id in enumerate(self.data.pool)}
        chosen = [choice.candidate for choice in batch.chosen]
        questions = [PoolQuestion(row_of[c.sample_id], modality) for c in chosen for modality in c.offered]
        return questions, usage, [] if batch.fallback is None else [batch.fallback]


def whole_seconds(data: ReplayData) -> float:
    """Mean time of one rater for all passes of a sample."""
    return float(sum(np.mean(data.costs[m].of(data.clip_seconds)) for m in data.passes))


def start_set(data: ReplayData, schedule: ReplaySchedule, seed: int) -> list[PoolQuestion]:
    """All questions about the samples of the start set, which all strategies share."""
    drawn = np.random.default_rng([seed, START]).permutation(len(data.pool))
    return [PoolQuestion(row, m) for row in drawn[: schedule.start].tolist() for m in data.passes]


@lru_cache(maxsize=2)
def _fit_start_set(data: ReplayData, schedule: ReplaySchedule, seed: int) -> FittedRound:
    oracle = Oracle(data, seed)
    oracle.ask(start_set(data, schedule, seed))
    return fit_round(data, schedule, oracle, seed, 0)


def full(data: ReplayData, schedule: ReplaySchedule, seed: int) -> CurvePoint:
    """The point with every label, at which all strategies would end."""
    oracle = Oracle(data, seed)
    questions = [PoolQuestion(row, m) for row in range(len(data.pool)) for m in data.passes]
    for _ in range(max((len(votes) for votes in data.votes.values()), default=1)):
        oracle.ask(questions)
    fitted = fit_round(data, schedule, oracle, seed, len(schedule.budgets()))
    return score_point(data, oracle, fitted, [], [])


def score_point(
    data: ReplayData, oracle: Oracle, fitted: FittedRound, questions: Sequence[PoolQuestion],
    before: Sequence[int],
) -> CurvePoint:  # fmt: skip
    """Score a model on the test samples; `before` are the rows asked in earlier rounds."""
    by_task = scores(data, fitted)
    tasks = [task for task in data.tasks if task.id in by_task]
    rows = list(dict.fromkeys(question.row for question in questions))
    return CurvePoint(
        samples=oracle.samples,
        labels=oracle.answer_count,
        seconds=oracle.seconds,
        score=float(np.mean([main_score(task, by_task[task.id]) for task in tasks])),
        scores=by_task,
        asked=[(data.pool[q.row], q.modality.value) for q in questions],
        batch=of_batch(data, rows, before),
    )
