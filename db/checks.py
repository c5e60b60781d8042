"""Measurements of the checks on samples, and the verdicts that decide whether a sample is used."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlalchemy import ColumnElement, and_, delete, false, func, not_, or_, select, update
from sqlalchemy.orm import Session

from annotate.types import Rule, Verdict
from db import models
from db.chunks import chunks
from db.models import INACTIVE, SampleStatus, VideoOrigin

REPEATED_SOUND, REPEATED_TEXT = "repeated-sound", "repeated-text"
REPEATS = (REPEATED_SOUND, REPEATED_TEXT)
"""Verdicts on duplicates, which no measurement of a single sample gives; stored only when they fail."""
DECISION = "by-hand"
"""The decision of a person, which overrules all other verdicts; stored only where there is one."""
NOT_MEASURED = (*REPEATS, DECISION)


def put_verdicts(session: Session, verdicts: Mapping[str, Sequence[Verdict]]) -> None:
    """Store the verdicts of samples, by id, and reject the samples with a failed one.

    Verdicts on duplicates and decisions by hand stay as they are. A retired sample stays retired.
    """
    for chunk in chunks(sorted(verdicts)):
        check = models.SampleCheck
        session.execute(delete(check).where(check.sample_id.in_(chunk), check.name.not_in(NOT_MEASURED)))
        session.add_all(_row(sample, verdict) for sample in chunk for verdict in verdicts[sample])
        session.flush()
        restate(session, chunk)


def put_duplicate_verdicts(session: Session, verdicts: Mapping[str, Sequence[Verdict]]) -> None:
    """Replace all verdicts on duplicates by these, by sample id."""
    check = models.SampleCheck
    before = set(session.scalars(select(check.sample_id).where(check.name.in_(REPEATS))))
    session.execute(delete(check).where(check.name.in_(REPEATS)))
    session.add_all(_row(sample, verdict) for sample in sorted(verdicts) for verdict in verdicts[sample])
    session.flush()
    for chunk in chunks(sorted(before | verdicts.keys())):
        restate(session, chunk)


def restate(session: Session, sample_ids: Sequence[str]) -> None:
    """Reject samples with a failed verdict and accept the others; retired and removed ones stay as they are.

    A decision by hand counts instead of the verdicts.
    """
    check, sample = models.SampleCheck, models.Sample
    own = check.sample_id.in_(sample_ids)
    failed = select(check.sample_id).where(own, ~check.passed)
    accepted = select(check.sample_id).where(own, check.name == DECISION, check.passed)
    refused = and_(sample.id.in_(failed), sample.id.not_in(accepted))
    for status, wanted in ((SampleStatus.REJECTED, refused), (SampleStatus.OK, not_(refused))):
        session.execute(
            update(sample)
            .where(sample.id.in_(sample_ids), wanted)
            .where(sample.status.not_in((*INACTIVE, status)))
            .values(status=status)
            .execution_options(synchronize_session=False)
        )
    session.expire_all()


def decision(session: Session, sample_id: str) -> bool | None:
    """Whether a person accepted (True) or rejected (False) the sample; None without a decision."""
    row = session.get(models.SampleCheck, (sample_id, DECISION))
    return None if row is None else row.passed


def decide(session: Session, sample_id: str, accepted: bool | None, reason: str) -> None:
    """Store the decision of a person about a sample, which overrules its checks; None deletes it."""
    check = models.SampleCheck
    session.execute(delete(check).where(check.sample_id == sample_id, check.name == DECISION))
    if accepted is not None:
        session.add(_row(sample_id, Verdict(DECISION, None, accepted, reason)))
    session.flush()
    restate(session, [sample_id])


def measure_again(session: Session, sample_id: str, verdicts: Sequence[Verdict]) -> None:
    """Replace the verdicts of these checks; the sample's other verdicts stay."""
    for verdict in verdicts:
        session.merge(_row(sample_id, verdict))
    session.flush()
    restate(session, [sample_id])


def _row(sample_id: str, verdict: Verdict) -> models.SampleCheck:
    word = verdict.value if isinstance(verdict.value, str) else ""
    number = None if isinstance(verdict.value, str) else verdict.value
    return models.SampleCheck(
        sample_id=sample_id, name=verdict.name, value=number, word=word,
        passed=verdict.passed, reason=verdict.reason,
    )  # fmt: skip


def judged_by_others(session: Session, *rules_hashes: str) -> list[str]:
    """Sorted sha256 of the videos whose samples were last judged by none of these rules."""
    query = select(models.Video.sha256).where(models.Video.rules_hash.not_in(rules_hashes))
    return sorted(session.scalars(query))


def mark_judged(session: Session, sha256s: Sequence[str], rules_hash: str) -> None:
    """Record by which rules the samples of the videos were judged."""
    session.execute(
        update(models.Video).where(models.Video.sha256.in_(sha256s)).values(rules_hash=rules_hash)
    )


def in_question(
    session: Session, sha256s: Sequence[str], rules: Mapping[str, Rule]
) -> Iterator[tuple[str, Verdict]]:
    """(sample id, stored verdict) of each measurement that failed before or breaks one of `rules` now.

    Covers the samples of these videos without retired ones; `rules` are by check. The database selects,
    because a project holds sixteen measurements per sample and few of them fail.
    """
    row, sample = models.SampleCheck, models.Sample
    query = (
        select(row.sample_id, row.name, row.value, row.word, row.passed, row.reason)
        .join(sample, sample.id == row.sample_id)
        .where(sample.video_sha256.in_(sha256s), sample.status != SampleStatus.RETIRED)
        .where(row.name.not_in(NOT_MEASURED))
        .where(or_(~row.passed, *(_breaks(name, rule) for name, rule in sorted(rules.items()))))
    )
    for sample_id, name, value, word, passed, reason in session.execute(query):
        yield sample_id, Verdict(name, word or value, passed, reason)


def _breaks(name: str, rule: Rule) -> ColumnElement[bool]:
    row = models.SampleCheck
    ways: list[ColumnElement[bool]] = []
    if rule.allow:
        ways.append((row.word != "") & row.word.not_in(rule.allow))
    if rule.min is not None:
        ways.append(row.value < rule.min)
    if rule.max is not None:
        ways.append(row.value > rule.max)
    return (row.name == name) & or_(false(), *ways)


def change_verdicts(session: Session, changed: Sequence[tuple[str, Verdict]]) -> None:
    """Store new verdicts on existing measurements, as (sample id, verdict); updates the samples' status."""
    rows = [
        {"sample_id": sample, "name": verdict.name, "passed": verdict.passed, "reason": verdict.reason}
        for sample, verdict in changed
    ]
    if rows:
        session.execute(update(models.SampleCheck), rows)
    for chunk in chunks(sorted({sample for sample, _ in changed})):
        restate(session, chunk)


def unmeasured(session: Session, names: Iterable[str]) -> dict[str, int]:
    """How many active samples lack a measurement of each check in `names`; complete checks are absent.

    Imported samples are left out, because they have no clip to measure.
    """
    row, sample = models.SampleCheck, models.Sample
    imported = select(models.Video.sha256).where(models.Video.origin == VideoOrigin.IMPORTED)
    counts: dict[str, int] = {}
    for name in sorted(names):
        measured = select(row.sample_id).where(row.sample_id == sample.id, row.name == name).exists()
        query = select(func.count()).select_from(sample).where(sample.status == SampleStatus.OK, ~measured)
        query = query.where(sample.video_sha256.not_in(imported))
        if count := session.scalar(query):
            counts[name] = count
    return counts
