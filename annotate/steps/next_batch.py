"""Choose the samples to ask about, store them as a batch, and send its questions to Label Studio."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from annotate.batch.choose import BatchPlan, Streams, choose_batch
from annotate.batch.opening import require_usable
from annotate.batch.predictor_source import PredictorSource
from annotate.batch.quotas import Choice
from annotate.batch.request import Request, read_budget
from annotate.batch.snapshot import BatchRules, again_below, read_snapshot
from annotate.corpus.gaps import gap_warnings
from annotate.corpus.no_samples import no_samples, no_split
from annotate.errors import NothingToDo, UsageError
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.types import Form, Modality
from annotate.wording import counted, either
from db import batches, stats
from db.engine import reading, writing
from db.migrate import require_current
from db.models import Batch, QuestionState
from db.outbox import sole_labeller, withdraw_unwanted

if TYPE_CHECKING:
    from annotate.labelstudio.client import LabelStudioClient

DEFAULT_SIZE = 20
"""Samples or questions if the user gives no size."""


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
    """What was asked, and how it was chosen."""

    batch: int | None
    """None in a dry run."""
    resumed: int | None
    """The batch whose questions were sent now, instead of a new one; None for a new batch."""
    round: int | None
    """The model that was used; None for a cold start."""
    strategy: str
    samples: int
    questions: dict[str, int]
    """By pass, including those held back."""
    roles: dict[str, int]
    """Samples by role."""
    held: int
    """Questions that wait for the earlier passes of their sample."""
    pushed: int
    """Questions that went to Label Studio."""
    left: int
    """Samples with a pass that remains for later batches; asking again does not count."""
    rater_seconds: float
    """Time that the batch is expected to take, all raters together."""
    seconds: float = field(metadata={"json_only": True})
    """The same under its earlier name."""
    notes: list[str]
    next: str
    items: list[ChosenSample] = field(default_factory=list)
    """The samples of a dry run."""


def next_batch(  # noqa: PLR0913 - one for each option
    project: Project,
    *,
    n: int | None = None,
    budget: str | None = None,
    whole_samples: bool | None = None,
    tasks: Sequence[str] = (),
    strategy: str | None = None,
    seed: int | None = None,
    device: str | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> NextBatchReport:
    """Ask about `n` more samples, or as many as raters can answer in `budget`.

    The strategy chooses train samples; uniform draws add audit and held-out samples. With `whole_samples`
    (None: the setting) every remaining pass of a sample is asked; otherwise single questions are chosen by
    expected gain per second, and `n` counts questions. Only questions about `tasks` are asked, if any are
    named. Questions of an earlier call that did not reach Label Studio are sent first, instead of a new
    batch. A dry run trains, writes and sends nothing. `seed` makes the choice repeatable; the model keeps
    the seed of the project.

    Raises `NothingToDo` when every sample was asked, `LabelStudioError` before anything is chosen when it
    cannot be reached, `FeatureError` when no sample has features, `UsageError` for an `n` below one, both
    sizes, a wrong budget or an unknown task, and `UnknownName` for the strategy.
    """
    batch = project.settings.batch
    whole = batch.ask == "samples" if whole_samples is None else whole_samples
    request = Request(
        batch.strategy if strategy is None else strategy,
        whole, n, None if budget is None else read_budget(budget), _known_tasks(project, tasks), seed, device,
    )  # fmt: skip
    if n is not None and budget is not None:
        raise UsageError("-n and --budget both say how large the batch is", hint="give one of them")
    if n is None and budget is None:
        request = replace(request, n=DEFAULT_SIZE)
    if n is not None and n < 1:
        raise UsageError(f"a batch of {n} samples cannot be asked", hint="use -n 1 or more")
    require_usable(project, request.strategy)
    if device is not None:
        from annotate.learning.device import choose_device

        choose_device(device)
    return (_dry_run if dry_run else _ask)(project, request, progress)


def _known_tasks(project: Project, tasks: Sequence[str]) -> tuple[str, ...]:
    """Raises `UsageError` for one that the project does not have."""
    known = [task.id for task in project.settings.tasks()]
    for task_id in tasks:
        if task_id not in known:
            same = [k for k in known if k.lower() == task_id.lower()]
            close = same or get_close_matches(task_id, known, n=1)
            raise UsageError(
                f"no task is called {task_id!r}",
                hint=f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}",
            )
    return tuple(dict.fromkeys(tasks))


def _dry_run(project: Project, request: Request, progress: Progress) -> NextBatchReport:
    _require_candidates(project, request, has_model=True)
    round_id, note = _present_round(project)
    try:
        _require_candidates(project, request, has_model=round_id is not None)
    except NothingToDo as nothing:
        message = "every sample was asked; only a model can choose what to ask again, and there is none yet"
        raise NothingToDo(message, hint="annotate train") from nothing
    _, plan = _choose(project, request, round_id, progress)
    questions = _questions(plan.chosen)
    with reading(project.engine) as session:
        later = gap_warnings(project, session)
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
        rater_seconds=round(plan.seconds, 1),
        seconds=round(plan.seconds, 1),
        notes=[*plan.notes, note, *later],
        next="run the same without --dry-run",
        items=[
            ChosenSample(rank, c.candidate.sample_id, c.role, "".join(c.candidate.offered), c.score)
            for rank, c in enumerate(plan.chosen)
        ],
    )


def _choose(
    project: Project, request: Request, round_id: int | None, progress: Progress
) -> tuple[int, BatchPlan]:
    """The seed and the choice that it gives."""
    snapshot = read_snapshot(project, request, PredictorSource(project, round_id, request.device))
    seed = project.settings.project.seed + snapshot.batches if request.seed is None else request.seed
    return seed, choose_batch(snapshot, request.strategy, request, Streams.of_seed(seed), progress=progress)


def _present_round(project: Project) -> tuple[int | None, str]:
    """The model a dry run ranks with, and a note about it: the fitting one, else the latest."""
    from annotate.rounds.find import find_round
    from annotate.rounds.training_data import read_training_data

    note = "dry run: nothing was trained, written or sent"
    data = read_training_data(project, seed=project.settings.project.seed)
    if not data.trainable():
        return None, note
    fitting = find_round(project, data)
    if fitting is not None:
        return fitting.id, note
    with reading(project.engine) as session:
        latest = batches.latest_round_id(session)
    if latest is None:
        return None, f"{note}; without --dry-run a first model would be trained now"
    return latest, f"{note}; ranked by round {latest}, which does not know the newest labels"


def _ask(project: Project, request: Request, progress: Progress) -> NextBatchReport:
    from annotate.labelling.connection import connect
    from annotate.labelling.match import adopt_unknown
    from annotate.labelling.take_down import take_down
    from annotate.rounds.train import ensure_round

    # An old schema is reported first: nobody should start Label Studio only to be told to migrate then.
    require_current(project.engine)
    with connect(project) as client:
        with project.writing(), sole_labeller(project.engine):
            adopted = adopt_unknown(project, client)
            take_down(project, client, progress)
            left_over = _send_left_over(project, client, progress)
            if left_over is not None:
                return replace(left_over, notes=[*adopted, *left_over.notes])
            _require_candidates(project, request, has_model=True)
        # Training may take long, and others may write meanwhile.
        round_id = ensure_round(project, device=request.device, seed=None, progress=progress)
        # One lock from choosing to sending: what another call finds queued is then always left over.
        with project.writing(), sole_labeller(project.engine):
            left_over = _send_left_over(project, client, progress)
            if left_over is not None:
                return left_over
            _require_candidates(project, request, has_model=round_id is not None)
            seed, plan = _choose(project, request, round_id, progress)
            return _send(
                project, client, _write(project, plan, seed), plan.left, [*adopted, *plan.notes], progress
            )


def _send_left_over(
    project: Project, client: "LabelStudioClient", progress: Progress
) -> NextBatchReport | None:
    """Send what an earlier call left queued; None when there is nothing."""
    with writing(project.engine) as session:
        dimensions = [dimension.name for dimension in project.settings.dimension_list()]
        withdraw_unwanted(session, project.settings.passes, dimensions)
        unsent = batches.queued_batch_ids(session)
    if not unsent:
        return None
    note = (
        "questions that waited were sent (of an interrupted call, or after a correction); run this again for "
        "new ones"
    )
    return _send(project, client, unsent[0], None, [note], progress)


def _send(
    project: Project, client: "LabelStudioClient", batch_id: int, left: int | None, notes: list[str],
    progress: Progress,
) -> NextBatchReport:  # fmt: skip
    from annotate.labelling.push import push_outbox

    sent = push_outbox(project, client, progress=progress)
    return _report(project, batch_id, left, sent.pushed, [*notes, *sent.problems])


def _require_candidates(project: Project, request: Request, *, has_model: bool) -> None:
    """Raises `NothingToDo` that says what to do instead."""
    again = again_below(BatchRules.of(project.settings), request, has_model=has_model)
    with reading(project.engine) as session:
        if batches.something_left(session, project.settings.passes, again, request.tasks):
            return
        if not stats.samples(session):
            raise no_samples(session)
        if (unsettled := no_split(session)) is not None:
            raise unsettled
        still_open, bare = batches.count_unanswered(session), batches.without_clip(session)
    if still_open:
        raise NothingToDo(
            f"every sample was asked; {counted(still_open, 'question')} "
            f"{either(still_open, 'is', 'are')} still open",
            hint="when they are answered: `annotate pull`, then `annotate export`",
        )
    if bare:
        raise NothingToDo(
            f"{counted(bare, 'sample')} {either(bare, 'was', 'were')} imported without clips: only "
            "words can be "
            "shown, and nothing is left to ask about those",
            hint="annotate train, or annotate export jsonl DEST",
        )
    raise NothingToDo("every sample was asked and answered", hint="annotate export mmsa DEST")


def _questions(chosen: Sequence[Choice]) -> list[batches.NewQuestion]:
    """One per sample and pass; the multimodal one held back while an earlier one is unanswered."""
    questions = []
    for rank, choice in enumerate(chosen):
        candidate = choice.candidate
        earlier = candidate.waiting or len(candidate.offered) > 1
        for modality in candidate.offered:
            held = modality is Modality.MULTIMODAL and earlier
            questions.append(
                batches.NewQuestion(
                    candidate.sample_id,
                    modality,
                    choice.role,
                    rank,
                    choice.score,
                    choice.inclusion_probability,
                    held,
                    Form.about(modality, candidate.partial.get(modality, ())).dimensions,
                )
            )
    return questions


def _write(project: Project, plan: BatchPlan, seed: int) -> int:
    """The id of the new batch."""
    shares = project.settings.batch
    header = Batch(
        round_id=plan.round_id,
        strategy=plan.strategy,
        seed=seed,
        settings={
            "pool": plan.sizes,
            "drawn": _count(c.role for c in plan.chosen),
            "holdout_share": shares.holdout_share,
            "audit_share": shares.audit_share,
            "seconds": round(plan.seconds, 1),
        },
    )
    with writing(project.engine) as session:
        return batches.create_batch(
            session,
            project_name=project.settings.project.name,
            header=header,
            questions=_questions(plan.chosen),
            predictions=plan.predictions.beliefs([c.candidate.sample_id for c in plan.chosen]),
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
        notes = [*notes, *gap_warnings(project, session)]
        return NextBatchReport(
            batch=batch_id,
            resumed=batch_id if resumed else None,
            round=batch.round_id,
            strategy=batch.strategy,
            samples=len({item.sample_id for item in items}),
            questions=_count(item.modality for item in items),
            roles=_count({item.sample_id: item.role for item in items}.values()),
            held=sum(item.state == QuestionState.HELD for item in items),
            pushed=pushed,
            left=left,
            rater_seconds=float(batch.settings.get("seconds", 0.0)),
            seconds=float(batch.settings.get("seconds", 0.0)),
            notes=notes,
            next="label in Label Studio (`annotate studio status` shows where), then `annotate pull`",
        )


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(str(name) for name in names).items()))
