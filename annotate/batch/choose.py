"""Chooses a batch from a snapshot: uniform draws, the strategy's choice, and what all of it costs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor, inf
from typing import NamedTuple

import numpy as np

from annotate.batch.choosing import choose
from annotate.batch.costs import CostModel, Costs
from annotate.batch.knapsack import Bundle
from annotate.batch.label_arrays import vote_arrays
from annotate.batch.notes import batch_notes, fallback_note
from annotate.batch.opening import make_strategy
from annotate.batch.predictions import PoolPredictions
from annotate.batch.questions import Budget, QuestionCosts, choose_questions
from annotate.batch.quotas import Choice, Strata, UniformDraws, draw, in_rank_order
from annotate.batch.request import Request
from annotate.batch.snapshot import PoolSnapshot
from annotate.batch.subsample import subsample
from annotate.progress import SILENT, Progress
from annotate.protocols import QueryStrategy
from annotate.types import LabeledSet, Modality, Pool, Requirement, Role, Votes, rows_of
from annotate.wording import counted
from db.batches import Candidate

ROUNDING = 1e-9
"""Sums of seconds may be off by this share: a sample that takes exactly what is left still fits."""


class Streams(NamedTuple):
    """The random streams of a batch.

    They are independent, so that a change to one part of the choice, such as the number of audit samples,
    does not change the random numbers of the others.
    """

    drawing: np.random.Generator
    """For the audit and held-out samples."""
    choosing: np.random.Generator
    """For the strategy."""
    ordering: np.random.Generator
    """For the ranks of the audit and held-out samples."""
    subsampling: np.random.Generator
    """For the part of a large pool that is ranked."""

    @classmethod
    def of_seed(cls, seed: int) -> "Streams":
        """Streams that depend on nothing but the seed."""
        return cls(*np.random.default_rng(seed).spawn(4))


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """A batch that is chosen and not yet written."""

    chosen: list[Choice]
    """By rank."""
    strategy: str
    """The one that chose."""
    round_id: int | None
    sizes: dict[str, int]
    """Number of candidates by role."""
    left: int
    """Samples with a pass that remains for later batches; asking again does not count."""
    fallback: str | None
    """Why another strategy chose than the one requested, if so."""
    notes: list[str]
    """Everything that the user should know; `fallback` is one of them."""
    predictions: PoolPredictions
    seconds: float
    """Rater time that the batch is expected to take, all raters together."""
    costs: Costs


def choose_batch(
    snapshot: PoolSnapshot, strategy: str, request: Request, rng: Streams, *, progress: Progress = SILENT
) -> BatchPlan:
    """Choose a batch; the same arguments give the same batch.

    Nothing is written, and no database is read: `snapshot.predict` reads features from files, for as many
    samples as are ranked. `strategy` is the name of a query strategy; the cold start replaces it while it
    needs a model that does not exist or knows none of the tasks. Raises what the strategy and
    `snapshot.predict` raise.
    """
    rules, has_model = snapshot.rules, snapshot.round_id is not None
    used, opened, fallback = strategy, make_strategy(strategy, rules.options), None
    if not has_model and opened.needs:
        fallback = fallback_note(strategy, "a model and there is none yet", rules.cold_start)
        used, opened = rules.cold_start, make_strategy(rules.cold_start, rules.options)
    field = _Field(snapshot, request.tasks)
    strata = Strata.of(snapshot.candidates)
    draws = draw(
        _sample_count(request, snapshot.candidates, field.costs), strata, before=snapshot.before,
        rng=rng.drawing, holdout_share=rules.holdout_share, audit_share=rules.audit_share,
    )  # fmt: skip
    by_gain = has_model and Requirement.MODEL in opened.needs
    ranked = subsample(
        draws.pool, rules.pool_limit, rng.subsampling, field.shard_pool if by_gain else None, rules.options,
        progress,
    )  # fmt: skip
    draws, before_subsampling = replace(draws, pool=ranked), len(draws.pool)
    progress.say(f"choosing from {counted(len(ranked), 'sample')} by {used}")
    predictions, pool = field.predict(draws, opened.needs)
    is_blind = Requirement.MODEL in opened.needs and pool.unknown()
    if is_blind:
        fallback = fallback_note(
            used, "a model of the tasks that are asked, which have no labels yet", rules.cold_start
        )
        used, opened = rules.cold_start, make_strategy(rules.cold_start, rules.options)
    # Single questions cannot be compared without a model.
    whole = request.whole or not has_model or is_blind
    asking = replace(request, strategy=used, whole=whole)
    active = _active(opened, pool, draws, asking, field.costs, rules.passes, rng.choosing)
    in_order = in_rank_order(active, [*draws.audit, *draws.holdout], rng.ordering)
    chosen = _affordable(in_order, request, asking.whole, field.costs)
    asked_now = {choice.candidate.sample_id: set(choice.candidate.passes) for choice in chosen}
    left = sum(bool(set(c.passes) - asked_now.get(c.sample_id, set())) for c in snapshot.candidates)
    notes = [*snapshot.notes, *([] if fallback is None else [fallback])]
    if len(ranked) < before_subsampling:
        pool_size = counted(before_subsampling, "sample")
        notes.append(f"of {pool_size} {len(ranked)} were ranked, see batch.pool")
    notes += batch_notes(snapshot, request, asking, opened, chosen, left)
    return BatchPlan(
        chosen, used, snapshot.round_id,
        {"active": len(strata.active), "audit": len(strata.audit), "holdout": len(strata.holdout)},
        left, fallback, notes, predictions,
        sum(field.costs.seconds(choice.candidate) for choice in chosen), snapshot.costs,
    )  # fmt: skip


class _Field:
    """The samples of a snapshot, addressed by candidate."""

    def __init__(self, snapshot: PoolSnapshot, tasks: Sequence[str]) -> None:
        self._snapshot, self._tasks = snapshot, tasks
        ids = [c.sample_id for c in snapshot.candidates]
        self._row = {sample_id: row for row, sample_id in enumerate(ids)}
        clip_seconds = dict(zip(ids, snapshot.clip_seconds.tolist(), strict=True))
        self.costs = CostModel(snapshot.costs, clip_seconds, snapshot.rules.raters)

    def shard_pool(self, candidates: Sequence[Candidate]) -> Pool:
        """A part of a large pool, with nothing but predictions."""
        predictions = self._snapshot.predict([c.sample_id for c in candidates], representations=False)
        return self._pool(predictions, candidates, [], frozenset())

    def predict(self, draws: UniformDraws, needs: frozenset[Requirement]) -> tuple[PoolPredictions, Pool]:
        """Predictions, and the pool that a strategy chooses from.

        The uniform draws are predicted too, because the beliefs of a model about the whole batch are stored;
        without a model their features are not read.
        """
        in_pool = {c.sample_id for c in draws.pool}
        # A sample of which only some passes came back would be at distance zero from itself.
        covered = [sample_id for sample_id in self._snapshot.covered if sample_id not in in_pool]
        drawn = [c.candidate.sample_id for c in (*draws.audit, *draws.holdout)]
        ids = [*(c.sample_id for c in draws.pool), *covered]
        ids += drawn if self._snapshot.round_id is not None else []
        predictions = self._snapshot.predict(ids, representations=Requirement.REPRESENTATIONS in needs)
        pool = self._pool(predictions, draws.pool, covered, needs)
        if self._tasks:
            missing = {t: is_missing for t, is_missing in pool.missing.items() if t in self._tasks}
            pool = replace(pool, missing=missing)
        return predictions, pool

    def _pool(
        self, predictions: PoolPredictions, candidates: Sequence[Candidate], covered: Sequence[str],
        needs: frozenset[Requirement],
    ) -> Pool:  # fmt: skip
        snapshot, ids = self._snapshot, [c.sample_id for c in candidates]
        own = np.array([self._row[sample_id] for sample_id in ids], dtype=np.intp)
        here, there = predictions.rows(ids), predictions.rows(covered)
        known = LabeledSet(predictions.embeddings[there], rows_of(predictions.representations, there))
        if Requirement.LABELS in needs:
            position = {sample_id: row for row, sample_id in enumerate(snapshot.covered)}
            rows = np.array([position[sample_id] for sample_id in covered], dtype=np.intp)
            labels = {task_id: values[rows] for task_id, values in snapshot.labels.items()}
            beliefs = {task_id: p.of(there) for task_id, p in predictions.predictions.items()}
            known = replace(known, predictions=beliefs, labels=labels)
        pool = Pool(
            sample_ids=np.array(ids, dtype=np.str_),
            predictions={task_id: p.of(here) for task_id, p in predictions.predictions.items()},
            missing={task_id: is_missing[own] for task_id, is_missing in snapshot.missing.items()},
            embeddings=predictions.embeddings[here],
            known=known,
            representations=rows_of(predictions.representations, here),
            groups={
                name: np.asarray(np.unique(numbers[own], return_inverse=True)[1], dtype=np.intp)
                for name, numbers in snapshot.groups.items()
            },
            device=predictions.device,
        )
        if Requirement.VOTES not in needs:
            return pool
        votes, known_votes = self._votes(ids, covered)
        return replace(pool, votes=votes, known=replace(pool.known, votes=known_votes))

    def _votes(self, *sample_ids: Sequence[str]) -> list[dict[str, Votes]]:
        """For each of the lists: by task id, the answers about its samples.

        A rater has the same number in all of them.
        """
        wanted = {sample_id for ids in sample_ids for sample_id in ids}
        answers = {key: given for key, given in self._snapshot.answers.items() if key[0] in wanted}
        raters = sorted({rater for given in answers.values() for rater, _ in given})
        number = {rater: i for i, rater in enumerate(raters)}
        numbered = {key: [(number[rater], value) for rater, value in given] for key, given in answers.items()}
        return [vote_arrays(self._snapshot.rules.tasks, ids, numbered) for ids in sample_ids]


def _sample_count(request: Request, candidates: Sequence[Candidate], costs: CostModel) -> int:
    """The number of whole samples, one at least, that are about as large as the batch."""
    if request.n is not None and request.whole:
        return request.n
    if request.n is not None:
        return max(1, round(request.n / float(np.mean([len(c.passes) for c in candidates]))))
    assert request.budget_seconds is not None
    return max(1, floor(request.budget_seconds / costs.mean_seconds(candidates) + ROUNDING))


def _active(
    strategy: QueryStrategy, pool: Pool, draws: UniformDraws, request: Request, costs: CostModel,
    passes: tuple[Modality, ...], rng: np.random.Generator,
) -> list[Choice]:  # fmt: skip
    """The strategy's choice, best first: whole samples, or questions for what the uniform draws leave."""
    if request.whole:
        selection = choose(strategy, request.strategy, pool, draws.active, rng)
        probabilities: Sequence[float | None] = [None] * len(selection.indices)
        if selection.inclusion_probabilities is not None:
            probabilities = selection.inclusion_probabilities.tolist()
        return [
            Choice(draws.pool[int(i)], Role.ACTIVE, float(score), probability)
            for i, score, probability in zip(selection.indices, selection.scores, probabilities, strict=True)
        ]
    drawn = [choice.candidate for choice in (*draws.audit, *draws.holdout)]
    questions = None if request.n is None else max(0, request.n - sum(len(c.passes) for c in drawn))
    seconds = request.budget_seconds and max(0.0, request.budget_seconds - sum(map(costs.seconds, drawn)))
    free = np.array([[p in c.passes for p in passes] for c in draws.pool], dtype=bool)
    offered = QuestionCosts(
        passes, free.reshape(len(draws.pool), len(passes)), costs.grid(draws.pool, passes)
    )
    budget = Budget(questions, seconds)
    return _group_by_sample(
        draws.pool, choose_questions(strategy, request.strategy, pool, offered, budget, rng)
    )


def _group_by_sample(candidates: Sequence[Candidate], taken: Sequence[Bundle]) -> list[Choice]:
    """One choice per sample, at the rank of its first bundle, with the passes that are asked about it."""
    passes: dict[int, set[Modality]] = {}
    for bundle in taken:
        passes.setdefault(bundle.row, set()).update(bundle.passes)
    density = {bundle.row: bundle.density for bundle in reversed(taken)}
    return [
        Choice(replace(c, passes=tuple(p for p in c.passes if p in asked)), Role.ACTIVE, density[row])
        for row, asked in passes.items()
        for c in [candidates[row]]
    ]


def _affordable(chosen: Sequence[Choice], request: Request, whole: bool, costs: CostModel) -> list[Choice]:
    """What fits into the limits of the request, in its order; everything where there is no limit.

    The uniform draws are paid first, because without the expensive ones they would be draws of short clips.
    One sample is kept however small the limits are. Single questions were chosen within them already.
    """
    if request.budget_seconds is None and request.most_questions is None:
        return list(chosen)
    kept: set[int] = set()
    seconds_left = inf if request.budget_seconds is None else request.budget_seconds * (1 + ROUNDING)
    questions_left = inf if request.most_questions is None else request.most_questions
    for rank in sorted(range(len(chosen)), key=lambda i: chosen[i].role is Role.ACTIVE):
        candidate = chosen[rank].candidate
        seconds, questions = costs.seconds(candidate), len(candidate.offered)
        is_paid = chosen[rank].role is Role.ACTIVE and not whole
        if is_paid or (seconds <= seconds_left and questions <= questions_left) or not kept:
            kept.add(rank)
            seconds_left -= seconds
            questions_left -= questions
    return [choice for rank, choice in enumerate(chosen) if rank in kept]
