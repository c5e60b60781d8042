"""List samples and correct them: transcript, speaker, times, and whether they are accepted or rejected."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from annotate.corpus.lookup import one_sample, one_video
from annotate.corpus.no_samples import no_match
from annotate.corrections.apply import CorrectionReport, correct
from annotate.corrections.edits import CorrectionPlan, Decision, Edit
from annotate.corrections.plan import add_edit, add_merge, add_split
from annotate.errors import NothingToDo, UsageError
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.steps._next import next_command
from annotate.wording import counted
from db import samples
from db.engine import Session, reading
from db.models import SampleStatus

TEXT_SHOWN = 60
"""Characters of a transcript in a list."""


@dataclass(frozen=True, slots=True)
class SamplesReport:
    """Samples of the project."""

    samples: Sequence[Mapping[str, Any]]
    total: int
    """Number of matching samples, including those beyond the limit."""
    notes: list[str]


def list_samples(
    project: Project,
    *,
    video: str | None = None,
    status: str | None = None,
    check: str | None = None,
    corrected: bool = False,
    limit: int = 0,
) -> SamplesReport:
    """List samples in the order of video and time; retired ones only where `status` asks for them.

    `limit` 0 lists all. Raises `UnknownName` or `UsageError` for an unknown video or status, `NothingToDo`
    when no sample matches.
    """
    with reading(project.engine) as session:
        which = sample_filter(session, video=video, status=status, check=check, corrected=corrected)
        total = samples.count_listed(session, which)
        shown = samples.listed(session, which, limit)
        if not shown:
            raise no_match(session)
        reasons = samples.failures(session, [sample.id for sample in shown])
    more = total - len(shown)
    return SamplesReport(
        samples=[
            {
                "sample": sample.id,
                "video": sample.video_name,
                "start": round(sample.start_us / 1e6, 3),
                "end": round(sample.end_us / 1e6, 3),
                "speaker": sample.speaker,
                "transcript": sample.transcript
                if len(sample.transcript) <= TEXT_SHOWN
                else f"{sample.transcript[: TEXT_SHOWN - 1]}…",
                "status": sample.status,
                "split": sample.split,
                "corrected": sample.by_hand,
                "reasons": reasons.get(sample.id, ""),
            }
            for sample in shown
        ],
        total=total,
        notes=[f"{counted(more, 'more sample')}: -n 0 lists all"] if more else [],
    )


def sample_filter(
    session: Session,
    *,
    video: str | None,
    status: str | None,
    check: str | None = None,
    corrected: bool = False,
) -> samples.Filter:
    """Samples in use or rejected, or those with one status; see `list_samples`."""
    sha256 = one_video(session, video).sha256 if video is not None else None
    if status is not None and status not in list(SampleStatus):
        raise UsageError(f"no sample has the status {status!r}", hint=f"one of {', '.join(SampleStatus)}")
    statuses = [SampleStatus.OK, SampleStatus.REJECTED] if status is None else [status]
    return samples.Filter(sha256, statuses, corrected, check)


def edit(  # noqa: PLR0913 - one for each option
    project: Project,
    name: str,
    *,
    transcript: str | None = None,
    speaker: str | None = None,
    start: float | None = None,
    end: float | None = None,
    reason: str = "",
    by: str | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> CorrectionReport:
    """Change the transcript, the speaker or the times (seconds from the start of the video) of a sample.

    Other times make a new sample, which names the old one as its predecessor. Raises what `correct` does, and
    `UsageError` when no change is named.
    """
    if (transcript, speaker, start, end) == (None, None, None, None):
        raise UsageError("no change is named", hint="name one of --transcript, --speaker, --start and --end")

    def plan(session: Session) -> CorrectionPlan:
        made = CorrectionPlan()
        add_edit(session, made, Edit(
            one_sample(session, name), transcript=transcript, speaker=speaker, start_us=_microseconds(start),
            end_us=_microseconds(end), reason=reason,
        ))  # fmt: skip
        return made

    return _require_changes(make_corrections(project, plan, by=by, dry_run=dry_run, progress=progress))


def make_corrections(
    project: Project,
    make_plan: Callable[[Session], CorrectionPlan],
    *,
    by: str | None,
    dry_run: bool,
    progress: Progress,
) -> CorrectionReport:
    """Make the corrections that `make_plan` works out, and name the next command.

    Raises what `correct` does.
    """
    report = correct(project, make_plan, by=by, dry_run=dry_run, progress=progress)
    if dry_run and report.changes:
        return replace(report, next="run the same without --dry-run")
    return replace(report, next=next_command(project))


def _microseconds(time: float | None) -> int | None:
    return None if time is None else round(time * 1e6)


def _require_changes(report: CorrectionReport) -> CorrectionReport:
    """Raise `NothingToDo` when the report names no change."""
    if not report.changes:
        raise NothingToDo(
            "nothing changes: the sample has these values already", hint="annotate samples show SAMPLE"
        )
    return report


def split(
    project: Project,
    name: str,
    at: Sequence[float],
    *,
    transcripts: Sequence[str] = (),
    reason: str = "",
    by: str | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> CorrectionReport:
    """Split a sample at these times (seconds from the start of the video).

    Each part gets the words within it where word times are known; otherwise `transcripts` has to hold one
    transcript per part. Raises what `correct` does.
    """

    def plan(session: Session) -> CorrectionPlan:
        made = CorrectionPlan()
        times = [round(time * 1e6) for time in at]
        add_split(session, made, one_sample(session, name), times, transcripts, reason)
        return made

    return make_corrections(project, plan, by=by, dry_run=dry_run, progress=progress)


def merge(
    project: Project,
    names: Sequence[str],
    *,
    transcript: str | None = None,
    speaker: str | None = None,
    reason: str = "",
    by: str | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> CorrectionReport:
    """Merge consecutive samples of one video into sample. Raises what `correct` does."""

    def plan(session: Session) -> CorrectionPlan:
        made = CorrectionPlan()
        add_merge(session, made, [one_sample(session, name) for name in names], transcript, speaker, reason)
        return made

    return make_corrections(project, plan, by=by, dry_run=dry_run, progress=progress)


def decide(
    project: Project,
    names: Sequence[str],
    *,
    accept: bool,
    undo: bool = False,
    reason: str = "",
    by: str | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> CorrectionReport:
    """Accept or reject samples regardless of their checks, or let the checks decide again with `undo`.

    Raises `UsageError` without a reason, and what `correct` does.
    """
    if not undo and not reason.strip():
        raise UsageError("a decision needs a reason", hint='--reason "the face is in profile"')
    decision = Decision.FORGET if undo else Decision.ACCEPT if accept else Decision.REJECT

    def plan(session: Session) -> CorrectionPlan:
        made = CorrectionPlan()
        for name in dict.fromkeys(one_sample(session, name) for name in names):
            add_edit(session, made, Edit(name, decision=decision, reason=reason))
        return made

    return _require_changes(make_corrections(project, plan, by=by, dry_run=dry_run, progress=progress))
