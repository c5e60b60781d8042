"""Pull answers from Label Studio, aggregate them into labels, and push the questions that waited for them."""

from dataclasses import dataclass, field

from annotate.corpus.gaps import gap_warnings
from annotate.errors import UsageError
from annotate.labelling.connection import connect
from annotate.labelling.missing import LISTED, MissingAnswer
from annotate.labelling.pull import advance_questions, asked_passes, pull_answers, require_asked
from annotate.labelling.pull_pass import Missing, Tally
from annotate.labelling.push import push_outbox
from annotate.labelling.transcripts_shown import judged_otherwise
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.wording import counted, either
from db import labels, outbox, reask
from db.annotations import DELETED, Change
from db.engine import reading


@dataclass(frozen=True, slots=True)
class PassReport:
    """Changes in one pass; a rater's form counts once, however many dimensions it covers."""

    answers: int = 0
    edits: int = 0
    skips: int = 0
    deletions: int = 0
    returns: int = 0
    """Answers that had been deleted and were restored."""
    others_edits: int = 0
    """Answers that somebody other than their rater changed."""


@dataclass(frozen=True, slots=True)
class PullReport:
    """What was pulled, and what changed because of it."""

    passes: dict[str, PassReport]
    closed: int
    """Questions that the required number of raters has answered or skipped."""
    withdrawn: int
    """Questions that were deleted in Label Studio, whose samples can be asked again, or that are obsolete."""
    released: int
    """Multimodal questions whose earlier passes are closed now."""
    pushed: int
    labels: dict[str, int]
    """By task, all labels of the project."""
    asked_again: int = 0
    """Open questions with an outdated transcript, which were withdrawn and sent again."""
    judged_on_other_text: int = 0
    """Finished questions whose raters saw another transcript than their sample has now."""
    adopted: int = 0
    """Questions that were in Label Studio and not in the database."""
    kept: int = 0
    """Answers that Label Studio lost and that count permanently now."""
    missing: int = 0
    """Answers that are gone from Label Studio and not marked deleted: perhaps nobody deleted them."""
    missing_answers: list[MissingAnswer] = field(default_factory=list)
    """The newest missing answers."""
    problems: list[str] = field(default_factory=list)
    next: str = ""


def pull(
    project: Project, *, full: bool = False, accept_deletions: bool = False, keep_missing: bool = False,
    progress: Progress = SILENT,
) -> PullReport:  # fmt: skip
    """Store every revision of every rater's annotation since the last pull, and make the labels again.

    `full` reads everything again and makes every label again. Answers that are gone are marked deleted; when
    many are gone at once, or the server seems to have been restored from a backup, that needs
    `accept_deletions`; `keep_missing` lets them count for good instead. Multimodal questions whose earlier
    passes are closed now are pushed. Raises `NothingToDo` when nothing was ever asked, `LabelStudioError`,
    and `ProjectBusy`; what was stored by then stays, and the next pull continues from there.
    """
    if accept_deletions and keep_missing:
        raise UsageError("missing answers are either deleted or kept", hint="give one of the two options")
    when_missing = Missing.DELETE if accept_deletions else Missing.KEEP if keep_missing else Missing.REPORT
    require_asked(project)
    with connect(project) as client, project.writing(), outbox.sole_labeller(project.engine):
        tally = pull_answers(project, client, full=full, when_missing=when_missing, progress=progress)
        require_asked(project, on_server=True)
        advanced = advance_questions(project, rebuild=full)
        pushed = push_outbox(project, client, progress=progress)
    with reading(project.engine) as session:
        counts = labels.count_labels(session)
        waiting = outbox.count_open(session)
        judged = reask.judged_on_other_text(session)
        gaps = gap_warnings(project, session)
    doubts = [
        f"{why}; was Label Studio restored from a backup? Every other answer was stored, and none was marked "
        "deleted"
        for why in tally.doubts
    ]
    return PullReport(
        passes={
            m.value: PassReport(
                answers=tally.changes[m, Change.ANSWER],
                edits=tally.changes[m, Change.EDIT],
                skips=tally.changes[m, Change.SKIP],
                deletions=tally.changes[m, DELETED],
                returns=tally.changes[m, Change.RETURN],
                others_edits=tally.changes[m, Change.OTHERS_EDIT] + tally.changes[m, Change.OTHERS_ANSWER],
            )
            for m in asked_passes(project)
        },
        closed=advanced.closed,
        withdrawn=tally.withdrawn + advanced.withdrawn,
        released=advanced.released,
        pushed=pushed.pushed,
        labels={task.id: counts.get(task.id, 0) for task in project.settings.tasks()},
        asked_again=pushed.asked_again,
        judged_on_other_text=len(judged),
        adopted=tally.adopted,
        kept=tally.kept,
        missing=len(tally.missing),
        missing_answers=tally.missing[:LISTED],
        problems=[*tally.problems, *doubts, *pushed.problems, *judged_otherwise(judged), *gaps],
        next=_next(tally, waiting),
    )


def _next(tally: Tally, waiting: int) -> str:
    if tally.missing:
        return (
            "restore a newer backup of Label Studio and pull again; or, if people deleted these answers, "
            "annotate pull --accept-deletions; or, to let them count without Label Studio, "
            "annotate pull --keep-missing"
        )
    if waiting:
        return (
            f"{counted(waiting, 'question')} {either(waiting, 'is', 'are')} open: go on labelling in "
            "Label Studio, then `annotate pull`"
        )
    return "annotate next-batch, or annotate export mmsa DEST"
