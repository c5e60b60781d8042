"""Plans a batch: what is drawn by chance, what the strategy chooses, and what all of it costs."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor, inf

import numpy as np
from numpy.typing import NDArray

from annotate.batch.choosing import choose
from annotate.batch.costs import Costs, LeadTime, PassCost, learn
from annotate.batch.knapsack import Step
from annotate.batch.opening import open_strategy
from annotate.batch.pool import Sight, look
from annotate.batch.questions import Budget, Prices, ask
from annotate.batch.quotas import Choice, Drawn, Draws, Parts, draw, in_rank_order
from annotate.batch.subsample import narrow
from annotate.errors import FeatureError, NothingToDo, UsageError
from annotate.progress import Progress
from annotate.project import Project
from annotate.protocols import QueryStrategy
from annotate.types import Form, Modality, Need, Pool, Role, Selection
from annotate.wording import counted, either
from db import batches, stats
from db.batches import Candidate
from db.costs import lead_times, lengths
from db.engine import reading

_BUDGET = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for."""

    strategy: str
    whole: bool
    """Whether a sample is asked in all passes that are left of it, or question by question."""
    n: int | None = None
    """Samples when they are asked whole, else questions."""
    budget_seconds: float | None = None
    """Of all raters together."""
    tasks: tuple[str, ...] = ()
    """Ids of those that count; empty: all."""
    seed: int | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch that is chosen and not yet written."""

    chosen: list[Choice]
    strategy: str
    seed: int
    round_id: int | None
    sizes: dict[str, int]
    """Candidates by role."""
    left: int
    notes: list[str]
    sight: Sight
    seconds: float
    """Of rater time that it will take."""
    costs: Costs


def read_budget(text: str) -> float:
    """Seconds of ``2h``, ``90m``, ``1h30m`` or ``45s``.

    Raises `UsageError` for anything else.
    """
    found = _BUDGET.fullmatch(text.strip().lower())
    parts = [float(part or 0) for part in found.groups()] if found else []
    seconds = sum(size * part for size, part in zip((3600, 60, 1), parts, strict=False))
    if not 0 < seconds < inf:
        raise UsageError(f"{text!r} is no time to spend", hint="as in --budget 2h, 90m or 1h30m")
    return seconds


@dataclass(frozen=True, slots=True)
class _Till:
    """What questions cost in this project."""

    costs: Costs
    lengths: Mapping[str, float]
    """By sample id: seconds of its clip."""
    raters: int

    def of(self, candidate: Candidate) -> float:
        """Seconds of all raters together for all that is asked of a sample."""
        return float(sum(self._grid([candidate], candidate.offered)[0]))

    def prices(self, candidates: Sequence[Candidate], passes: tuple[Modality, ...]) -> Prices:
        free = np.array([[p in c.passes for p in passes] for c in candidates], dtype=bool)
        return Prices(passes, free.reshape(len(candidates), len(passes)), self._grid(candidates, passes))

    def _grid(self, candidates: Sequence[Candidate], passes: Sequence[Modality]) -> NDArray[np.float64]:
        lengths = np.array([self.lengths[c.sample_id] for c in candidates], dtype=float)
        return self.raters * np.stack([self.costs[p].of(lengths) for p in passes], axis=1)


@dataclass(frozen=True, slots=True)
class _Field:
    """What there is to ask, before anything is chosen."""

    candidates: list[Candidate]
    covered: list[str]
    """Train samples that are labelled or asked, by id."""
    before: Drawn
    batches: int
    notes: list[str]


def plan(project: Project, request: Request, round_id: int | None, progress: Progress) -> Plan:
    """Choose, and write nothing.

    Raises `FeatureError` when no candidate has features, `NothingToDo` when `request.tasks` leave nothing,
    and what the strategy raises.
    """
    used, reason = _usable_strategy(project, request.strategy, round_id)
    opened = open_strategy(used, project.settings.batch.options)
    field = _survey(project, request, again_below(project, request, has_model=round_id is not None))
    till, shares = _till(project, field.candidates), project.settings.batch
    seed = project.settings.project.seed + field.batches if request.seed is None else request.seed
    drawing, choosing, ordering, narrowing = np.random.default_rng(seed).spawn(4)
    parts = Parts.of(field.candidates)
    draws = draw(
        _samples(request, field.candidates, till), parts, before=field.before, rng=drawing,
        holdout_share=shares.holdout_share, audit_share=shares.audit_share,
    )  # fmt: skip
    draws, crowded = _narrowed(project, draws, opened, round_id, request.device, narrowing, progress)
    # A sample of which only some passes came back would lie at distance zero from itself.
    covered = sorted(set(field.covered) - {c.sample_id for c in draws.pool})
    progress.say(f"choosing from {counted(len(draws.pool), 'sample')} by {used}")
    sight = _see(project, round_id, draws, covered, request.device, opened.needs)
    pool = _only(sight.pool(project, draws.pool, covered), request.tasks)
    blind = Need.MODEL in opened.needs and pool.unknown()
    if blind:
        used, reason = _instead(
            project, used, "a model of the tasks that are asked, which have no labels yet"
        )
        opened = open_strategy(used, project.settings.batch.options)
    # Before there is a model nothing tells questions apart.
    asking = replace(request, strategy=used, whole=request.whole or round_id is None or blind)
    active = _active(opened, pool, draws, asking, till, project.settings.passes, choosing)
    chosen = _affordable(in_rank_order(active, [*draws.audit, *draws.holdout], ordering), request, till)
    left = _with_something_left(field.candidates, chosen)
    return Plan(
        chosen, used, seed, round_id,
        {"active": len(parts.active), "audit": len(parts.audit), "holdout": len(parts.holdout)},
        left,
        [*field.notes, *reason, *crowded, *_asked_again(project, asking, opened, field, chosen),
         *_partial_notes(project, chosen), *_short(request, chosen, left)],
        sight, sum(till.of(choice.candidate) for choice in chosen), till.costs,
    )  # fmt: skip


def again_below(project: Project, request: Request, *, has_model: bool) -> int:
    """Questions with fewer answers than this may be asked again; 0: none, because the strategy cannot weigh
    what raters said, or single questions are asked."""
    batch = project.settings.batch
    weighs = Need.VOTES in open_strategy(request.strategy, batch.options).needs
    return batch.most_raters if weighs and has_model and request.whole else 0


def _asked_again(
    project: Project, request: Request, strategy: QueryStrategy, field: _Field, chosen: Sequence[Choice]
) -> list[str]:
    """How many questions are asked again, or why none can be, where the strategy would."""
    if Need.VOTES not in strategy.needs:
        return []
    if not request.whole:
        return ["single questions are never asked again; with --whole-samples they are"]
    count = sum(len(choice.candidate.again) for choice in chosen)
    if count:
        return [f"{count} question{'s are' if count > 1 else ' is'} asked again"]
    raters, most = project.settings.protocol.raters, project.settings.batch.most_raters
    if raters >= most and not any(c.again for c in field.candidates):
        return [
            f"nothing is asked again: each question goes to {raters} people at once (protocol.raters), and "
            f"{counted(most, 'answer')} {either(most, 'is', 'are')} enough (batch.most_raters)"
        ]
    return []


def _partial_notes(project: Project, chosen: Sequence[Choice]) -> list[str]:
    """How many questions ask some dimensions only, and that their raters may know the whole already."""
    partial = [choice.candidate for choice in chosen if choice.candidate.partial]
    if not partial:
        return []
    forms = Counter(Form.about(m, c.partial[m]) for c in partial for m in c.passes if m in c.partial)
    asked = ", ".join(f"{form.words}: {count}" for form, count in sorted(forms.items()))
    notes = [f"questions about samples whose other dimensions were judged before: {asked}"]
    blind = any(form.modality is not Modality.MULTIMODAL for form in forms)
    if blind and Modality.MULTIMODAL in project.settings.passes:
        notes.append(
            "who judged the multimodal pass of these samples before knows the whole and cannot judge a part "
            "blindly: leave the other passes to other raters"
        )
    return notes


def _with_something_left(candidates: Sequence[Candidate], chosen: Sequence[Choice]) -> int:
    """How many have a pass that is not asked now, without those that can only be asked again."""
    asked = {choice.candidate.sample_id: set(choice.candidate.passes) for choice in chosen}
    return sum(bool(set(c.passes) - asked.get(c.sample_id, set())) for c in candidates)


def _survey(project: Project, request: Request, again: int) -> _Field:
    with reading(project.engine) as session:
        candidates = batches.candidates(session, project.settings.passes, again, request.tasks)
        covered = batches.covered_sample_ids(session)
        number = stats.batches(session)
        before = _drawn(batches.roles(session), candidates)
    candidates, covered, notes = _seen(project, _of_tasks(candidates, request.tasks), covered)
    return _Field(candidates, covered, before, number, notes)


def _narrowed(
    project: Project, draws: Draws, strategy: QueryStrategy, round_id: int | None, device: str | None,
    rng: np.random.Generator, progress: Progress,
) -> tuple[Draws, list[str]]:  # fmt: skip
    """The draws with a pool within the limit of the settings, and a note where there was more."""
    kept = narrow(
        project, draws.pool, strategy, limit=project.settings.batch.pool, round_id=round_id, device=device,
        rng=rng, progress=progress,
    )  # fmt: skip
    if len(kept) == len(draws.pool):
        return draws, []
    note = f"of {counted(len(draws.pool), 'sample')} {len(kept)} were ranked, see batch.pool"
    return replace(draws, pool=kept), [note]


def costs_of(project: Project) -> Costs:
    """What raters are expected to need, by pass: the settings, drawn towards what they needed so far."""
    with reading(project.engine) as session:
        told = [LeadTime(Modality(m), length, seconds) for m, length, seconds in lead_times(session)]
    settings = project.settings
    prior = settings.costs.by_pass(len(settings.dimensions))
    return learn({m: PassCost(*said) for m, said in prior.items()}, told)


def _till(project: Project, candidates: Sequence[Candidate]) -> _Till:
    with reading(project.engine) as session:
        found = lengths(session, [c.sample_id for c in candidates])
    return _Till(costs_of(project), found, project.settings.protocol.raters)


def _of_tasks(candidates: Sequence[Candidate], tasks: Sequence[str]) -> list[Candidate]:
    """Candidates with only the passes of these tasks; the multimodal one only where no other is left, because
    who saw the whole can judge no part blindly any more."""
    if not tasks:
        return list(candidates)
    wanted = {task_id.rpartition(".")[2] for task_id in tasks}
    found = []
    for candidate in candidates:
        left = tuple(p for p in candidate.passes if p.value in wanted)
        again = tuple(p for p in candidate.again if p.value in wanted)
        seen = Modality.MULTIMODAL in candidate.partial
        if set(candidate.passes) - {Modality.MULTIMODAL} - set(left) and not seen:
            left = tuple(p for p in left if p is not Modality.MULTIMODAL)
        if left or again:
            found.append(replace(candidate, passes=left, again=again))
    if not found:
        whole = Modality.MULTIMODAL.value in wanted
        raise NothingToDo(
            f"of {', '.join(tasks)} nothing can be asked now",
            hint="the multimodal pass of a sample opens when its other passes are asked: leave --tasks out"
            if whole
            else "these passes are asked everywhere, or there is no clip to show: leave --tasks out",
        )
    return found


def _only(pool: Pool, tasks: Sequence[str]) -> Pool:
    """The pool where only these tasks lack labels."""
    if not tasks:
        return pool
    return replace(pool, missing={t: wanted for t, wanted in pool.missing.items() if t in tasks})


def _samples(request: Request, candidates: Sequence[Candidate], till: _Till) -> int:
    """About how many whole samples the batch is as large as, one at least."""
    if request.n is not None and request.whole:
        return request.n
    if request.n is not None:
        return max(1, round(request.n / float(np.mean([len(c.passes) for c in candidates]))))
    assert request.budget_seconds is not None
    return max(1, floor(request.budget_seconds / float(np.mean([till.of(c) for c in candidates]))))


def _active(
    strategy: QueryStrategy, pool: Pool, draws: Draws, request: Request, till: _Till,
    passes: tuple[Modality, ...], rng: np.random.Generator,
) -> list[Choice]:  # fmt: skip
    """What the strategy chooses, best first: whole samples, or questions for what the uniform draws leave."""
    if request.whole:
        return _choices(draws.pool, choose(strategy, request.strategy, pool, draws.active, rng))
    drawn = [choice.candidate for choice in (*draws.audit, *draws.holdout)]
    questions = None if request.n is None else max(0, request.n - sum(len(c.passes) for c in drawn))
    seconds = request.budget_seconds and max(0.0, request.budget_seconds - sum(map(till.of, drawn)))
    taken = ask(
        strategy, request.strategy, pool, till.prices(draws.pool, passes), Budget(questions, seconds), rng
    )
    return _together(draws.pool, taken)


def _together(candidates: Sequence[Candidate], taken: Sequence[Step]) -> list[Choice]:
    """One choice per sample, at the place of its first step, with the passes that are asked of it."""
    passes: dict[int, set[Modality]] = {}
    for step in taken:
        passes.setdefault(step.row, set()).update(step.passes)
    density = {step.row: step.density for step in reversed(taken)}
    return [
        Choice(replace(c, passes=tuple(p for p in c.passes if p in asked)), Role.ACTIVE, density[row])
        for row, asked in passes.items()
        for c in [candidates[row]]
    ]


def _affordable(chosen: Sequence[Choice], request: Request, till: _Till) -> list[Choice]:
    """What fits into the budget, in its order; the first sample in any case. Uniform draws are paid first: to
    pass over the dear ones would make them draws of short clips."""
    if request.budget_seconds is None:
        return list(chosen)
    kept: set[int] = set()
    left = request.budget_seconds
    for place in sorted(range(len(chosen)), key=lambda i: chosen[i].role is Role.ACTIVE):
        price = till.of(chosen[place].candidate)
        if price <= left or not kept:
            kept.add(place)
            left -= price
    return [choice for place, choice in enumerate(chosen) if place in kept]


def _short(request: Request, chosen: Sequence[Choice], left: int) -> list[str]:
    """A note when there was less to ask than wanted."""
    got = len(chosen) if request.whole else sum(len(c.candidate.passes) for c in chosen)
    if request.n is None or got >= request.n or (left and not request.whole):
        return []
    wanted = request.n or 0
    asked = (
        f"{counted(wanted, 'sample' if request.whole else 'question')} {either(wanted, 'was', 'were')} wanted"
    )
    return [f"{asked}, {got} {either(got, 'was', 'were')} left"]


def _choices(candidates: Sequence[Candidate], selection: Selection) -> list[Choice]:
    """What the strategy chose, best first."""
    chances: Sequence[float | None] = [None] * len(selection.indices)
    if selection.chances is not None:
        chances = selection.chances.tolist()
    return [
        Choice(candidates[int(i)], Role.ACTIVE, float(score), chance)
        for i, score, chance in zip(selection.indices, selection.scores, chances, strict=True)
    ]


def _drawn(roles: Mapping[str, Role], candidates: Sequence[Candidate]) -> Drawn:
    """The samples asked so far, by role; one that is back among the candidates as if it had never been asked
    is counted when it is drawn again."""
    back = {c.sample_id for c in candidates if not (c.labelled or c.waiting or c.again)}
    counts = Counter(role for sample_id, role in roles.items() if sample_id not in back)
    return Drawn(counts[Role.ACTIVE], counts[Role.AUDIT], counts[Role.HOLDOUT])


def _see(
    project: Project, round_id: int | None, draws: Draws, covered: Sequence[str], device: str | None,
    needs: frozenset[Need],
) -> Sight:  # fmt: skip
    """What the strategy looks at. Of uniform draws only a model's beliefs are kept, so without a model
    their features are left alone."""
    drawn = [] if round_id is None else [c.candidate.sample_id for c in (*draws.audit, *draws.holdout)]
    return look(project, round_id, [*(c.sample_id for c in draws.pool), *covered, *drawn], device, needs)


def _seen(
    project: Project, candidates: Sequence[Candidate], covered: Sequence[str]
) -> tuple[list[Candidate], list[str], list[str]]:
    """Candidates and covered samples that have features, and a note about those that have none: one clip
    that cannot be read must not stop the loop.

    Raises `FeatureError` when no candidate has any.
    """
    from annotate.corpus.features import featured, outdated

    have = featured(project, [*(c.sample_id for c in candidates), *covered])
    kept = [c for c in candidates if c.sample_id in have]
    if not kept:
        raise FeatureError(
            f"none of {counted(len(candidates), 'sample')} has features{outdated(project)}",
            hint="annotate extract",
        )
    blind = len(candidates) - len(kept)
    notes = [
        f"{counted(blind, 'sample')} without features {either(blind, 'was', 'were')} passed over; "
        "see `annotate extract`"
    ]
    return kept, [i for i in covered if i in have], notes if blind else []


def _usable_strategy(project: Project, strategy: str, round_id: int | None) -> tuple[str, list[str]]:
    """The strategy to use, and why it is another than the one asked for."""
    if round_id is not None or not open_strategy(strategy, project.settings.batch.options).needs:
        return strategy, []
    return _instead(project, strategy, "a model and there is none yet")


def _instead(project: Project, strategy: str, what: str) -> tuple[str, list[str]]:
    cold_start = project.settings.batch.cold_start
    return cold_start, [f"{strategy} needs {what}; {cold_start} was used"]
