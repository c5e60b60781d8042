"""One strategy with one seed, from the start set to the end: ask, learn, measure, choose."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from time import process_time

import numpy as np

from annotate.batch.choose import Streams, choose_batch
from annotate.batch.request import Request
from annotate.learning.metrics import main_score
from annotate.simulation.cost import Spent, measured
from annotate.simulation.diagnostics import of_batch
from annotate.simulation.ledger import Ledger, Question
from annotate.simulation.model import Taught, scores, teach
from annotate.simulation.snapshot import oracle_snapshot
from annotate.simulation.world import Plan, World
from db.batches import Candidate

START, CHOICE = 11, 12
"""What a seed of a run is for, beside others."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where a run stands after a round."""

    samples: float
    """Asked questions over passes: one of which half the passes were asked counts half."""
    labels: int
    """With votes each answer counts: to ask again is not free."""
    seconds: float
    """Of raters, for the pool."""
    score: float
    """On test, the mean over the tasks of what each is judged by."""
    scores: dict[str, dict[str, float]]
    """By task id: all scores."""
    asked: list[tuple[str, str]]
    """(sample id, pass) of this round's questions, in the order in which they were chosen."""
    batch: dict[str, float | None]
    """What kind of batch it was, see `diagnostics`."""
    select_seconds: float | None = None
    """Of the processor; None for a start set."""
    select_bytes: int | None = None
    train_seconds: float | None = None
    """Of the processor, to learn and to measure; the first strategy of a seed pays for the start."""
    notes: list[str] = field(default_factory=list)


class Run:
    """Grows by one point per round; two runs with the same strategy, seed and data are the same run."""

    def __init__(self, world: World, plan: Plan, name: str, seed: int, *, whole: bool = True) -> None:
        """A run before its start. `whole`: see `Request`."""
        self.world, self.plan, self.name, self.seed = world, plan, name, seed
        self._whole = whole
        self._ledger = Ledger(world, seed)
        self._taught: Taught | None = None
        self.points: list[Point] = []

    def resume(self, points: Sequence[Point]) -> None:
        """Take over what was kept of this run."""
        rows = {sample_id: row for row, sample_id in enumerate(self.world.pool)}
        passes = {m.value: m for m in self.world.passes}
        for point in points:
            self._ledger.ask(Question(rows[sample_id], passes[word]) for sample_id, word in point.asked)
            self.points.append(point)

    def rounds(self) -> Iterator[Point]:
        """What is left of the run."""
        for turn in range(len(self.points), len(self.plan.budgets())):
            questions, spent, notes = self._start() if turn == 0 else self._choose(turn)
            if not questions:
                return
            before = self._ledger.rows()
            self._ledger.ask(questions)
            started = process_time()
            self._taught = self._teach(turn)
            made = self._point(questions, before, spent, notes)
            self.points.append(replace(made, train_seconds=process_time() - started))
            yield self.points[-1]

    def rehearse(self) -> None:
        """Choose once after the start set; the run is of no use afterwards. Raises as the strategy."""
        questions, _, _ = self._start()
        self._ledger.ask(questions)
        self._choose(1)

    def _start(self) -> tuple[list[Question], Spent | None, list[str]]:
        drawn = np.random.default_rng([self.seed, START]).permutation(len(self.world.pool))
        rows = drawn[: self.plan.start].tolist()
        return [Question(row, m) for row in rows for m in self.world.passes], None, []

    def _teach(self, turn: int) -> Taught:
        if turn == 0:
            return _first(self.world, self.plan, self.seed)
        return teach(self.world, self.plan, self._ledger, self.seed, turn)

    def _choose(self, turn: int) -> tuple[list[Question], Spent | None, list[str]]:
        taught = self._taught or self._teach(turn - 1)
        request = Request(self.name, self._whole)
        snapshot = oracle_snapshot(self.world, self._ledger, taught, request, turn)
        if not snapshot.candidates:
            return [], None, []
        request = self._sized(request, turn, snapshot.candidates)
        rng = np.random.default_rng([self.seed, CHOICE, turn])
        drawing, ordering, subsampling = rng.spawn(3)
        streams = Streams(drawing, rng, ordering, subsampling)
        batch, spent = measured(lambda: choose_batch(snapshot, self.name, request, streams))
        row_of = {sample_id: row for row, sample_id in enumerate(self.world.pool)}
        chosen = [choice.candidate for choice in batch.chosen]
        questions = [Question(row_of[c.sample_id], modality) for c in chosen for modality in c.offered]
        return questions, spent, [] if batch.fallback is None else [batch.fallback]

    def _sized(self, request: Request, turn: int, candidates: Sequence[Candidate]) -> Request:
        """The request with the size of this round.

        Whole samples: as many questions as are left to the plan's samples. Single questions: the time that
        the plan's samples of this round would take if they were asked whole.
        """
        before, after = self.plan.budgets()[turn - 1 : turn + 1]
        if not request.whole:
            return replace(request, budget_seconds=(after - before) * whole_seconds(self.world))
        questions = max(after * len(self.world.passes) - self._ledger.questions, 0)
        fewest = min(len(candidate.offered) for candidate in candidates)
        return replace(request, n=questions // fewest, most_questions=questions)

    def _point(
        self, questions: list[Question], before: list[int], spent: Spent | None, notes: list[str]
    ) -> Point:
        assert self._taught is not None
        return point(self.world, self._ledger, self._taught, questions, before, spent, notes)


def whole_seconds(world: World) -> float:
    """Mean time of one rater for all passes of a sample."""
    return float(sum(np.mean(world.costs[m].of(world.clip_seconds)) for m in world.passes))


@lru_cache(maxsize=2)
def _first(world: World, plan: Plan, seed: int) -> Taught:
    """The model of the start set, which all strategies share."""
    ledger = Ledger(world, seed)
    drawn = np.random.default_rng([seed, START]).permutation(len(world.pool))[: plan.start]
    ledger.ask(Question(int(row), m) for row in drawn for m in world.passes)
    return teach(world, plan, ledger, seed, 0)


def full(world: World, plan: Plan, seed: int) -> Point:
    """With every label there is: what all strategies end at."""
    ledger = Ledger(world, seed)
    questions = [Question(row, m) for row in range(len(world.pool)) for m in world.passes]
    for _ in range(max((len(said) for said in world.votes.values()), default=1)):
        ledger.ask(questions)
    taught = teach(world, plan, ledger, seed, len(plan.budgets()))
    return point(world, ledger, taught, [], [], None, [])


def point(
    world: World, ledger: Ledger, taught: Taught, questions: Sequence[Question], before: Sequence[int],
    spent: Spent | None, notes: list[str],
) -> Point:  # fmt: skip
    """Measure on test."""
    found = scores(world, taught)
    tasks = [task for task in world.tasks if task.id in found]
    rows = list(dict.fromkeys(question.row for question in questions))
    return Point(
        samples=ledger.samples,
        labels=ledger.answers,
        seconds=ledger.seconds,
        score=float(np.mean([main_score(task, found[task.id]) for task in tasks])),
        scores=found,
        asked=[(world.pool[q.row], q.modality.value) for q in questions],
        batch=of_batch(world, rows, before),
        select_seconds=None if spent is None else spent.seconds,
        select_bytes=None if spent is None else spent.peak_bytes,
        notes=notes,
    )
