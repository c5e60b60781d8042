"""Choose the samples worth asking, write them down as a batch, send its questions to Label Studio."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from annotate.acquisition.choosing import choose
from annotate.acquisition.opening import open_strategy
from annotate.errors import ConfigError, FeatureError, NothingToDo, UsageError
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.registry import STRATEGIES
from annotate.steps._choose import Choice, Drawn, Draws, Parts, draw, in_rank_order
from annotate.steps._no_samples import no_samples, no_split
from annotate.steps._pool import Sight, look
from annotate.types import Modality, Need, Role, Selection
from db import batches, stats
from db.engine import reading, writing
from db.models import Batch, BatchItem, BatchItemState
from db.outbox import withdraw_unwanted

if TYPE_CHECKING:
    from annotate.labelstudio.client import LabelStudioClient


@dataclass(frozen=True, slots=True)
class ChosenSample:
    """One sample of a dry run."""

    rank: int
    sample: str
    role: str
    passes: str
    score: float


@dataclass(frozen=True, slots=True)
class NextBatchReport:
    """What was asked, and why these."""

    batch: int | None
    """None in a dry run."""
    resumed: int | None
    """The batch whose questions were still to be sent; no new one was chosen then."""
    round: int | None
    """The model that was used; None for a cold start."""
    strategy: str
    samples: int
    questions: dict[str, int]
    """By pass, those held back included."""
    roles: dict[str, int]
    """Samples by role."""
    held: int
    """Questions that wait for the earlier passes of their sample."""
    pushed: int
    """Questions that went to Label Studio."""
    left: int
    """Samples that remain to be asked in later batches."""
    notes: list[str]
    next: str
    items: list[ChosenSample] = field(default_factory=list)
    """The samples of a dry run."""


@dataclass(frozen=True, slots=True)
class _Plan:
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


def next_batch(
    project: Project,
    *,
    n: int,
    strategy: str | None = None,
    seed: int | None = None,
    device: str | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> NextBatchReport:
    """Ask for `n` samples more: the strategy's choice of train, a uniform audit and held-out share.

    Questions of an earlier call that did not reach Label Studio are sent first, instead of a new batch.
    A dry run trains, writes and sends nothing. Raises `NothingToDo` when every sample was asked,
    `LabelStudioError` before anything is chosen when it cannot be reached, `FeatureError` when
    samples were not extracted, `UsageError` for an `n` below one, `UnknownName` for the strategy.
    `seed` makes the choice repeatable; the model keeps the project's.
    """
    if n < 1:
        raise UsageError(f"a batch of {n} samples cannot be asked", hint="use -n 1 or more")
    asked = strategy or project.settings.batch.strategy
    require_usable(project, asked)
    if device is not None:
        from annotate.learning.device import choose_device

        choose_device(device)
    if dry_run:
        return _dry_run(project, n, asked, seed, device, progress)
    return _ask(project, n, asked, seed, device, progress)


def require_usable(project: Project, strategy: str) -> None:
    """Raises `UnknownName` for a strategy or that of a cold start, `ConfigError` where it needs a model."""
    batch = project.settings.batch
    open_strategy(strategy, batch.options)
    cold_start = batch.cold_start
    if open_strategy(cold_start, batch.options).needs:
        fitting = [name for name in STRATEGIES.names() if not open_strategy(name).needs]
        raise ConfigError(
            f"batch.cold_start is {cold_start!r}, which needs a model",
            hint=f"use one of {', '.join(fitting)}",
        )


def _dry_run(
    project: Project, n: int, strategy: str, seed: int | None, device: str | None, progress: Progress
) -> NextBatchReport:
    _require_candidates(project)
    round_id, note = _present_round(project)
    plan = _plan(project, n, strategy, seed, device, round_id, progress)
    questions = _questions(plan.chosen)
    return NextBatchReport(
        batch=None,
        resumed=None,
        round=round_id,
        strategy=plan.strategy,
        samples=len(plan.chosen),
        questions=_count(q.modality for q in questions),
        roles=_count(choice.role for choice in plan.chosen),
        held=sum(q.held for q in questions),
        pushed=0,
        left=plan.left,
        notes=[*plan.notes, note],
        next="run the same without --dry-run",
        items=[
            ChosenSample(rank, c.candidate.sample_id, c.role, "".join(c.candidate.passes), c.score)
            for rank, c in enumerate(plan.chosen)
        ],
    )


def _present_round(project: Project) -> tuple[int | None, str]:
    """The model a dry run ranks with, and a note about it: the fitting one, else the latest."""
    from annotate.steps._material import read_material
    from annotate.steps._model import find_round

    note = "dry run: nothing was trained, written or sent"
    material = read_material(project, seed=project.settings.project.seed)
    if not material.trainable():
        return None, note
    found = find_round(project, material)
    if found is not None:
        return found.id, note
    with reading(project.engine) as session:
        latest = batches.latest_round_id(session)
    if latest is None:
        return None, f"{note}; without --dry-run a first model would be trained now"
    return latest, f"{note}; ranked by round {latest}, which does not know the newest labels"


def _ask(
    project: Project, n: int, strategy: str, seed: int | None, device: str | None, progress: Progress
) -> NextBatchReport:
    from annotate.steps._model import ensure_round
    from annotate.steps._studio import connect

    with connect(project) as client:
        with project.writing():
            left_over = _send_left_over(project, client, progress)
            if left_over is not None:
                return left_over
            _require_candidates(project)
        # Training may take long, and others may write meanwhile.
        round_id = ensure_round(project, device=device, seed=None, progress=progress)
        # One lock from choosing to sending: what another call finds queued is then always left over.
        with project.writing():
            left_over = _send_left_over(project, client, progress)
            if left_over is not None:
                return left_over
            _require_candidates(project)
            plan = _plan(project, n, strategy, seed, device, round_id, progress)
            return _send(project, client, _write(project, plan), plan.left, plan.notes, progress)


def _send_left_over(
    project: Project, client: "LabelStudioClient", progress: Progress
) -> NextBatchReport | None:
    """Send what an earlier call left queued; None when there is nothing."""
    with writing(project.engine) as session:
        withdraw_unwanted(session, project.settings.passes)
        unsent = batches.queued_batch_ids(session)
    if not unsent:
        return None
    note = "an earlier call was interrupted; its questions were sent, run this again for new ones"
    return _send(project, client, unsent[0], None, [note], progress)


def _send(
    project: Project, client: "LabelStudioClient", batch_id: int, left: int | None, notes: list[str],
    progress: Progress,
) -> NextBatchReport:  # fmt: skip
    from annotate.steps._push import push_outbox

    sent = push_outbox(project, client, progress=progress)
    return _report(project, batch_id, left, sent.pushed, [*notes, *sent.problems])


def _require_candidates(project: Project) -> None:
    """Raises `NothingToDo` that says what to do instead."""
    with reading(project.engine) as session:
        if batches.candidates(session, project.settings.passes):
            return
        if not stats.samples(session):
            raise no_samples(session)
        if (unsettled := no_split(session)) is not None:
            raise unsettled
        still_open, bare = batches.count_unanswered(session), batches.without_clip(session)
    if still_open:
        raise NothingToDo(
            f"every sample was asked; {still_open} questions are still open",
            hint="when they are answered: `annotate pull`, then `annotate export`",
        )
    if bare:
        raise NothingToDo(
            f"{bare} samples were imported without clips: only their words can be shown to anybody, and there is "
            "nothing left to ask about those",
            hint="annotate train, or annotate export jsonl DEST",
        )
    raise NothingToDo("every sample was asked and answered", hint="annotate export mmsa DEST")


def _plan(
    project: Project, n: int, strategy: str, seed: int | None, device: str | None,
    round_id: int | None, progress: Progress,
) -> _Plan:  # fmt: skip
    with reading(project.engine) as session:
        candidates = batches.candidates(session, project.settings.passes)
        covered = batches.covered_sample_ids(session)
        number = stats.batches(session)
        before = _drawn(batches.roles(session), candidates)
    candidates, covered, notes = _seen(project, candidates, covered)
    seed = project.settings.project.seed + number if seed is None else seed
    drawing, choosing, ordering = np.random.default_rng(seed).spawn(3)
    parts, shares = Parts.of(candidates), project.settings.batch
    draws = draw(
        n, parts, before=before, holdout_share=shares.holdout_share, audit_share=shares.audit_share,
        rng=drawing,
    )  # fmt: skip
    # A sample of which only some passes came back would lie at distance zero from itself.
    covered = sorted(set(covered) - {c.sample_id for c in draws.pool})
    used, reason = _usable_strategy(project, strategy, round_id)
    notes += reason
    progress.say(f"choosing from {len(draws.pool)} samples by {used}")
    opened = open_strategy(used, project.settings.batch.options)
    sight = _see(project, round_id, draws, covered, device, opened.needs)
    pool = sight.pool(project, draws.pool, covered)
    selection = choose(opened, used, pool, draws.active, choosing)
    active = _choices(draws.pool, selection)
    chosen = in_rank_order(active, [*draws.audit, *draws.holdout], ordering)
    if len(chosen) < n:
        notes.append(f"{n} samples were wanted, {len(chosen)} were left")
    sizes = {"active": len(parts.active), "audit": len(parts.audit), "holdout": len(parts.holdout)}
    return _Plan(chosen, used, seed, round_id, sizes, len(candidates) - len(chosen), notes, sight)


def _choices(candidates: Sequence[batches.Candidate], selection: Selection) -> list[Choice]:
    """What the strategy chose, best first."""
    chances: Sequence[float | None] = [None] * len(selection.indices)
    if selection.chances is not None:
        chances = selection.chances.tolist()
    return [
        Choice(candidates[int(i)], Role.ACTIVE, float(score), chance)
        for i, score, chance in zip(selection.indices, selection.scores, chances, strict=True)
    ]


def _drawn(roles: Mapping[str, Role], candidates: Sequence[batches.Candidate]) -> Drawn:
    """The samples asked so far, by role; one that is back among the candidates is counted when it is
    drawn again."""
    back = {c.sample_id for c in candidates}
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
    project: Project, candidates: Sequence[batches.Candidate], covered: Sequence[str]
) -> tuple[list[batches.Candidate], list[str], list[str]]:
    """Candidates and covered samples that have features, and a note about those that have none: one clip
    that cannot be read must not stop the loop.

    Raises `FeatureError` when no candidate has any.
    """
    from annotate.steps._features import featured

    have = featured(project, [*(c.sample_id for c in candidates), *covered])
    kept = [c for c in candidates if c.sample_id in have]
    if not kept:
        raise FeatureError(f"none of {len(candidates)} samples has features", hint="annotate extract")
    blind = len(candidates) - len(kept)
    notes = [f"{blind} samples have no features and were passed over; see `annotate extract`"]
    return kept, [i for i in covered if i in have], notes if blind else []


def _usable_strategy(project: Project, strategy: str, round_id: int | None) -> tuple[str, list[str]]:
    """The strategy to use, and why it is another than the one asked for."""
    if round_id is not None or not open_strategy(strategy, project.settings.batch.options).needs:
        return strategy, []
    instead = project.settings.batch.cold_start
    return instead, [f"{strategy} needs a model and there is none yet; {instead} was used"]


def _questions(chosen: Sequence[Choice]) -> list[batches.Question]:
    """One per sample and pass; the multimodal one held back while an earlier one is unanswered."""
    found = []
    for rank, choice in enumerate(chosen):
        candidate = choice.candidate
        earlier = candidate.waiting or len(candidate.passes) > 1
        for modality in candidate.passes:
            held = modality is Modality.MULTIMODAL and earlier
            found.append(
                batches.Question(
                    candidate.sample_id,
                    modality,
                    choice.role,
                    rank,
                    choice.score,
                    choice.inclusion_probability,
                    held,
                )
            )
    return found


def _write(project: Project, plan: _Plan) -> int:
    """The id of the new batch."""
    shares = project.settings.batch
    header = Batch(
        round_id=plan.round_id,
        strategy=plan.strategy,
        seed=plan.seed,
        settings={
            "pool": plan.sizes,
            "drawn": _count(c.role for c in plan.chosen),
            "holdout_share": shares.holdout_share,
            "audit_share": shares.audit_share,
        },
    )
    with writing(project.engine) as session:
        return batches.create_batch(
            session,
            project_name=project.settings.project.name,
            header=header,
            questions=_questions(plan.chosen),
            beliefs=plan.sight.beliefs([c.candidate.sample_id for c in plan.chosen]),
        )


def _report(
    project: Project, batch_id: int, left: int | None, pushed: int, notes: list[str]
) -> NextBatchReport:
    with reading(project.engine) as session:
        batch = batches.batch(session, batch_id)
        items = batches.questions(session, batch_id)
        resumed = left is None
        if left is None:
            left = len(batches.candidates(session, project.settings.passes))
        return NextBatchReport(
            batch=batch_id,
            resumed=batch_id if resumed else None,
            round=batch.round_id,
            strategy=batch.strategy,
            samples=len({item.sample_id for item in items}),
            questions=_count(item.modality for item in items),
            roles=_count(_one_per_sample(items)),
            held=sum(item.state == BatchItemState.HELD for item in items),
            pushed=pushed,
            left=left,
            notes=notes,
            next="label in Label Studio (`annotate studio status` shows where), then `annotate pull`",
        )


def _one_per_sample(items: Sequence[BatchItem]) -> Iterable[str]:
    return {item.sample_id: item.role for item in items}.values()


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(str(name) for name in names).items()))
