"""Bring home what raters did in Label Studio, make labels of it, and send on what waited for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from annotate.corpus.gaps import gap_warnings
from annotate.errors import NothingToDo, UsageError
from annotate.labelling.connection import connect
from annotate.labelling.labels import rebuild_labels
from annotate.labelling.missing import LISTED, MissingAnswer
from annotate.labelling.pull_pass import Missing, Pass, ReadPass, Tally, read_pass, settle_missing
from annotate.labelling.push import (
    PushReport,
    asked_forms,
    find_ls_project,
    follow_raters,
    known_ls_project,
    known_marker,
    leave_lost_project,
    push_outbox,
)
from annotate.labelling.transcripts_shown import judged_otherwise
from annotate.labelstudio.client import LabelStudioClient
from annotate.progress import SILENT, Bar, Progress
from annotate.project import Project
from annotate.types import Form, Modality
from annotate.wording import counted, either
from db import annotations, labels, outbox, reask
from db.annotations import Change
from db.engine import reading, writing


@dataclass(frozen=True, slots=True)
class PassReport:
    """What was new in one pass; each of a rater's forms counts once, however many dimensions it asks."""

    answers: int = 0
    edits: int = 0
    skips: int = 0
    deletions: int = 0
    returns: int = 0
    """Answers that had been deleted and are there again."""
    others_edits: int = 0
    """Answers that somebody other than their rater changed."""


@dataclass(frozen=True, slots=True)
class PullReport:
    """What came home, and what that set going."""

    passes: dict[str, PassReport]
    closed: int
    """Questions that every rater asked for has answered or skipped now."""
    withdrawn: int
    """Questions deleted in Label Studio, whose samples can be asked again, or no longer wanted."""
    released: int
    """Multimodal questions that waited for this."""
    pushed: int
    labels: dict[str, int]
    """By task, all there are now."""
    asked_again: int = 0
    """Open questions that showed an earlier transcript of their sample: withdrawn, and sent anew."""
    judged_on_other_text: int = 0
    """Finished questions whose raters saw another transcript than their sample has now."""
    adopted: int = 0
    """Questions that stood in Label Studio and not in the database."""
    kept: int = 0
    """Answers that Label Studio lost and that count for good now."""
    missing: int = 0
    """Answers that were pulled, are gone, and were not marked deleted: perhaps nobody deleted them."""
    missing_answers: list[MissingAnswer] = field(default_factory=list)
    """The newest of these."""
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
    and `ProjectBusy`; what was stored until then stays, and the next pull goes on from there.
    """
    if accept_deletions and keep_missing:
        raise UsageError("missing answers are either deleted or kept", hint="give one of the two options")
    when_missing = Missing.DELETE if accept_deletions else Missing.KEEP if keep_missing else Missing.REPORT
    _require_asked(project)
    tally = Tally()
    with connect(project) as client, project.writing(), outbox.sole_labeller(project.engine):
        emails = client.emails()
        with progress.bar("reading answers", None) as bar:
            found = [
                _read_known(project, client, form, emails, full, tally, bar)
                for form in asked_forms(project, client, project.settings.passes)
            ]
        settle_missing([one for one in found if one is not None], when_missing)
        _require_asked(project, on_server=True)
        passes = project.settings.passes
        with writing(project.engine) as session:
            closed = outbox.close_answered(session, project.settings.protocol.raters)
            tally.withdrawn += outbox.withdraw_unwanted(session, passes, _dimensions(project))
            released = outbox.release(session, passes)
            if full:
                rebuild_labels(session, project.settings.tasks())
        pushed = push_outbox(project, client, progress=progress)
    return _report(project, tally, closed, released, pushed)


def _require_asked(project: Project, *, on_server: bool = False) -> None:
    """Raises `NothingToDo` when no question was ever sent; Label Studio may know more than the database."""
    with reading(project.engine) as session:
        asked = outbox.asked_forms(session) or outbox.queued(session)
    if not asked and (on_server or not known_marker(project)):
        raise NothingToDo("nothing was asked yet", hint="annotate next-batch -n 20")


def _asked_passes(project: Project) -> list[Modality]:
    """Those of the protocol, and those it had before: what is answered there comes home too."""
    passes = project.settings.passes
    with reading(project.engine) as session:
        return list(dict.fromkeys([*passes, *(form.modality for form in outbox.asked_forms(session))]))


def _dimensions(project: Project) -> list[str]:
    return [dimension.name for dimension in project.settings.dimension_list()]


def _read_known(
    project: Project, client: LabelStudioClient, form: Form, emails: Mapping[int, str],
    full: bool, tally: Tally, bar: Bar,
) -> ReadPass | None:  # fmt: skip
    """The pass with its new answers stored; None where Label Studio does not have it."""
    ls_project = find_ls_project(project, client, form)
    if ls_project is None:
        with reading(project.engine) as session:
            known = outbox.asked_forms(session)
        if form in known:
            _miss(project, client, form, [other for other in known if other != form], tally)
        return None
    tally.problems += follow_raters(project, client, form, ls_project)
    way = Pass(project, client, form, ls_project, emails, tally)
    return read_pass(way, full=full, bar=bar)


def _miss(
    project: Project, client: LabelStudioClient, form: Form, others: Sequence[Form], tally: Tally
) -> None:
    """The project of a form is not there: deleted, if this is the server that had it."""
    own = not project.settings.labelstudio.url
    if own or any(known_ls_project(project, client, other) for other in others):
        lost = leave_lost_project(project, form)
        tally.withdrawn += lost
        if lost:
            tally.problems.append(
                f"the {form.words} was deleted in Label Studio with "
                f"{counted(lost, 'open question')}: "
                "`annotate next-batch` can ask them again; answers that were pulled are kept"
            )
        return
    tally.problems.append(
        f"the questions of the {form.words} are not on {client.base_url}: "
        "if that is the wrong Label Studio, correct labelstudio.url; answers given there are kept"
    )


def _of(tally: Tally, modality: Modality) -> PassReport:
    count = tally.changes
    return PassReport(
        answers=count[modality, Change.ANSWER],
        edits=count[modality, Change.EDIT],
        skips=count[modality, Change.SKIP],
        deletions=count[modality, annotations.DELETED],
        returns=count[modality, Change.RETURN],
        others_edits=count[modality, Change.OTHERS_EDIT] + count[modality, Change.OTHERS_ANSWER],
    )


def _report(project: Project, tally: Tally, closed: int, released: int, pushed: PushReport) -> PullReport:
    with reading(project.engine) as session:
        counts = labels.count_labels(session)
        waiting = outbox.count_open(session)
        judged = reask.judged_on_other_text(session)
        later = gap_warnings(project, session)
    return PullReport(
        passes={m.value: _of(tally, m) for m in _asked_passes(project)},
        closed=closed,
        withdrawn=tally.withdrawn,
        released=released,
        pushed=pushed.pushed,
        labels={task.id: counts.get(task.id, 0) for task in project.settings.tasks()},
        asked_again=pushed.asked_again,
        judged_on_other_text=len(judged),
        adopted=tally.adopted,
        kept=tally.kept,
        missing=len(tally.missing),
        missing_answers=tally.missing[:LISTED],
        problems=[
            *tally.problems,
            *map(_missing_problem, tally.doubts),
            *pushed.problems,
            *judged_otherwise(judged),
            *later,
        ],
        next=_next(tally, waiting),
    )


def _missing_problem(why: str) -> str:
    return (
        f"{why}; was Label Studio restored from a backup? Every other answer was stored, and none was marked "
        "deleted"
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
