"""Applies corrections by hand: cuts new clips, then writes everything in one transaction."""

import getpass
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotate.corpus.duplicates import remember, remember_text
from annotate.corpus.rules import Rules
from annotate.corrections.edits import (
    Change,
    CorrectionPlan,
    InvalidCorrection,
    NewSample,
    tidy,
)
from annotate.corrections.plan import require_disjoint, speaker_of
from annotate.corrections.recut import recut
from annotate.errors import UsageError
from annotate.ingest.measure import measure_text
from annotate.ingest.run import LOCK_SECONDS
from annotate.ingest.settle import settle
from annotate.labelling.take_down import take_down_if_reachable
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.types import Corrected, PreparedSample
from annotate.wording import counted, either
from db import checks, corrections, groups, models, reask, samples, videos, withdrawals
from db.engine import Session, reading, writing
from db.models import BY_HAND, SampleStatus
from db.samples import words_of

SHOWN = 1_000
"""Maximum number of changes in a report."""


@dataclass(frozen=True, slots=True)
class CorrectionReport:
    """The corrections that were made, or in a dry run would be made."""

    changes: list[Change]
    """One for each changed value, at most `SHOWN`."""
    changed: int
    """Number of corrected samples."""
    unchanged: int
    """Number of named samples that already had the requested values."""
    new_samples: list[str]
    """Ids of new samples that replace others; empty in a dry run."""
    retired: list[str]
    """Ids of the replaced samples; their answers stay with them."""
    withdrawn: int
    """Number of withdrawn questions."""
    asked_again: int
    """Number of questions that the next `annotate pull` or `annotate next-batch` will send."""
    author: str
    warnings: list[str]
    dry_run: bool
    next: str = ""


@dataclass
class _Outcome:
    new: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    withdrawn: int = 0
    asked_again: int = 0
    warnings: list[str] = field(default_factory=list)


def author_of(project: Project, by: str | None) -> str:
    """The author of corrections: the option, else `corrections.by`, else the login name.

    Raises `UsageError` for an empty name.
    """
    name = by if by is not None else project.settings.corrections.by
    if by is None and not name:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # a container may have no name for its user
            name = f"user {os.getuid()}"
    if not tidy(name):
        raise UsageError("the author's name is empty", hint="--by NAME, or leave it out")
    return tidy(name)


def correct(
    project: Project,
    make_plan: Callable[[Session], CorrectionPlan],
    *,
    by: str | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> CorrectionReport:
    """Make all corrections of the plan that `make_plan` returns, or none; a dry run writes nothing.

    Raises `UsageError` for invalid corrections, `AnnotateError` when a new clip cannot be cut, and
    `ProjectBusy` while another command writes.
    """
    author = author_of(project, by)
    rules = Rules(project.settings)
    with project.writing(wait_seconds=LOCK_SECONDS):
        with reading(project.engine) as session:
            try:
                plan = make_plan(session)
                require_disjoint(session, plan)
            except InvalidCorrection as error:
                raise UsageError(
                    str(error), hint="nothing was changed; annotate samples list shows samples"
                ) from error
            wanted = _wanted(session, plan.cuts)
        outcome = _Outcome()
        if not dry_run and (plan.changes or plan.cuts):
            made = recut(project, wanted, progress) if wanted else {}
            with writing(project.engine) as session:
                _write(session, project, rules, plan, made, author, outcome)
            outcome.warnings += take_down_if_reachable(project, progress)
    return CorrectionReport(
        changes=plan.changes[:SHOWN],
        changed=len({change.sample for change in plan.changes}),
        unchanged=plan.unchanged,
        new_samples=outcome.new,
        retired=outcome.retired,
        withdrawn=outcome.withdrawn,
        asked_again=outcome.asked_again,
        author=author,
        warnings=outcome.warnings,
        dry_run=dry_run,
    )


def _wanted(session: Session, cuts: Sequence[NewSample]) -> dict[str, list[Corrected]]:
    """The samples to cut, ordered, by video."""
    spoken = corrections.languages(session, [name for cut in cuts for name in cut.predecessors])
    wanted: dict[str, list[Corrected]] = {}
    for cut in sorted(cuts, key=lambda cut: (cut.video, cut.span)):
        language = next((spoken[name] for name in cut.predecessors if name in spoken), "")
        language = language if cut.text.origin != BY_HAND else ""
        wanted.setdefault(cut.video, []).append(Corrected(cut.text.segment, True, language))
    return wanted


def _write(
    session: Session, project: Project, rules: Rules, plan: CorrectionPlan,
    made: Mapping[str, Sequence[PreparedSample]], author: str, outcome: _Outcome,
) -> None:  # fmt: skip
    homes = groups.homes(session) if "speaker" in project.settings.splits.together else {}
    for name, text in plan.texts.items():
        _put_text(session, rules, name, text, author, plan.reasons[name])
    for name, speaker in plan.speakers.items():
        row = session.get_one(models.Sample, name)
        old = {"speaker": speaker_of(session, row), "origin": row.speaker_origin}
        new_values = {"speaker": speaker}
        reason = plan.reasons[name]
        corrections.log(session, name, "speaker", old=old, new=new_values, author=author, reason=reason)
        row.speaker, row.speaker_origin, row.by_hand = speaker, BY_HAND, True
        if row.split is not None and homes.get(speaker, row.split) != row.split:
            row.split = None  # assigned again, or held back with a reason, when splits are settled
    for name, decision in plan.decisions.items():
        _decide(session, name, decision.accepted, author, plan.reasons[name])
    replaced = _put_cuts(session, rules, plan.cuts, made, author, outcome)
    session.flush()
    outcome.warnings += settle(project, session, changed=True).warnings
    corrected = [session.get_one(models.Sample, name) for name in (*plan.speakers, *plan.decisions)]
    unused = sorted({row.id for row in corrected if row.status != SampleStatus.OK or row.split is None})
    withdrawn = withdrawals.withdraw_of_samples(session, unused, "its sample is no longer used")
    outcome.withdrawn += sum(withdrawn.values())
    for new_id, old_ids in replaced.items():
        if session.get_one(models.Sample, new_id).status == SampleStatus.OK:
            outcome.asked_again += reask.ask_about(session, new_id, old_ids, project.settings.passes)
    with_new_text = reask.ask_again_with_new_text(session, project.settings.passes)
    outcome.withdrawn += with_new_text
    outcome.asked_again += with_new_text
    outcome.warnings += _warnings(session, plan.texts, outcome.new)
    videos.add_event(session, "correct", {"author": author, "samples": len({c.sample for c in plan.changes})})


def _put_text(session: Session, rules: Rules, name: str, text: str, author: str, reason: str) -> None:
    row = session.get_one(models.Sample, name)
    old = {"transcript": row.transcript, "origin": row.transcript_origin}
    corrections.log(
        session, name, "transcript", old=old, new={"transcript": text}, author=author, reason=reason
    )
    row.transcript = row.transcript_raw = text
    row.transcript_origin, row.words, row.by_hand = BY_HAND, [], True
    remember_text(session, name, text)
    share = session.get(models.SampleCheck, (name, "speech"))
    if share is None:
        return  # imported samples have no measurements
    spoken = corrections.languages(session, [name]).get(name, "")
    measures = measure_text(corrections.segment_of(row), share.value or 0.0, spoken)
    checks.measure_again(session, name, rules.judge(measures))


def _decide(session: Session, name: str, accepted: bool | None, author: str, reason: str) -> None:
    row = session.get_one(models.Sample, name)
    old = {"status": row.status, "accepted": checks.decision(session, name)}
    row.by_hand = True
    session.flush()
    checks.decide(session, name, accepted, f"{reason} ({author})")
    new = {"status": session.get_one(models.Sample, name).status, "accepted": accepted}
    corrections.log(session, name, "status", old=old, new=new, author=author, reason=reason)


def _put_cuts(
    session: Session, rules: Rules, cuts: Sequence[NewSample], made: Mapping[str, Sequence[PreparedSample]],
    author: str, outcome: _Outcome,
) -> dict[str, tuple[str, ...]]:  # fmt: skip
    """Store the new samples and retire the replaced ones; returns the ids of the latter by new id."""
    replaced: dict[str, tuple[str, ...]] = {}
    ordered = sorted(cuts, key=lambda cut: (cut.video, cut.span))
    prepared = [one for sha256 in sorted(made) for one in made[sha256]]
    for cut, one in zip(ordered, prepared, strict=True):
        replaced[one.id] = tuple(name for name in cut.predecessors if name != one.id)
    gone = sorted({name for names in replaced.values() for name in names} - replaced.keys())
    corrections.retire(session, gone)
    outcome.withdrawn += sum(
        withdrawals.withdraw_of_samples(session, gone, "its sample was replaced by a new cut").values()
    )
    for cut, one in zip(ordered, prepared, strict=True):
        _put_cut(session, rules, cut, one, replaced[one.id], author)
    remember(session, prepared)
    outcome.new += replaced
    outcome.retired += gone
    return replaced


def _put_cut(
    session: Session, rules: Rules, cut: NewSample, made: PreparedSample, predecessors: Sequence[str],
    author: str,
) -> None:  # fmt: skip
    old = {
        name: [session.get_one(models.Sample, name).start_us, session.get_one(models.Sample, name).end_us]
        for name in cut.predecessors
    }
    row = session.get(models.Sample, made.id) or models.Sample(
        id=made.id, video_sha256=cut.video, split=None, predecessors=[]
    )
    row.start_us, row.end_us = made.segment.start_us, made.segment.end_us
    text = cut.text.segment
    row.transcript, row.transcript_raw, row.words = text.text, text.raw, words_of(text)
    row.transcript_origin = cut.text.origin
    row.speaker, row.speaker_origin = cut.speaker, cut.speaker_origin
    row.sound_print, row.media_sha256 = list(made.audio_fingerprint), dict(made.media_sha256)
    row.status, row.by_hand = SampleStatus.OK, True
    row.predecessors = list(dict.fromkeys([*row.predecessors, *predecessors]))
    session.add(row)
    session.flush()
    checks.put_verdicts(session, {made.id: rules.judge(made.measures)})
    new: dict[str, Any] = {
        "start_us": row.start_us, "end_us": row.end_us, "transcript": text.text, "speaker": cut.speaker,
    }  # fmt: skip
    if cut.span != (row.start_us, row.end_us):
        new["asked_us"] = list(cut.span)
    corrections.log(session, made.id, "cut", old={"samples": old}, new=new, author=author, reason=cut.reason)
    if cut.decision is not None:
        _decide(session, made.id, cut.decision.accepted, author, cut.reason)


def _warnings(session: Session, texts: Mapping[str, str], new_ids: Sequence[str]) -> list[str]:
    """Warnings about answers to the earlier text of corrected samples, and about rejected new samples."""
    warnings = []
    outdated = sum(one.sample_id in texts for one in reask.judged_on_other_text(session))
    if outdated:
        warnings.append(
            f"{counted(outdated, 'finished question')} {either(outdated, 'was', 'were')} judged on "
            "the earlier transcript: the answers count, and exports say which text was judged"
        )
    reasons_of = samples.failures(session, new_ids)
    warnings += [
        f"the new sample {name} is rejected ({reasons_of[name]}): annotate samples accept {name} --reason WHY"
        for name in new_ids
        if session.get_one(models.Sample, name).status == SampleStatus.REJECTED
    ]
    return warnings
