"""What was measured on samples, and the verdicts that decide whether they take part."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from annotate.types import Verdict
from db import models
from db.chunks import chunks
from db.models import SampleStatus


def put_verdicts(session: Session, verdicts: Mapping[str, Sequence[Verdict]]) -> None:
    """Store the verdicts of samples (by id), and let those with a failed one take no part any more.

    A retired sample stays retired.
    """
    for chunk in chunks(sorted(verdicts)):
        session.execute(delete(models.SampleCheck).where(models.SampleCheck.sample_id.in_(chunk)))
        session.add_all(_row(sample, verdict) for sample in chunk for verdict in verdicts[sample])
        for status in (SampleStatus.OK, SampleStatus.REJECTED):
            judged = [s for s in chunk if all(v.passed for v in verdicts[s]) == (status is SampleStatus.OK)]
            session.execute(
                update(models.Sample)
                .where(models.Sample.id.in_(judged), models.Sample.status != SampleStatus.RETIRED)
                .values(status=status)
            )


def _row(sample_id: str, verdict: Verdict) -> models.SampleCheck:
    word = verdict.value if isinstance(verdict.value, str) else ""
    number = None if isinstance(verdict.value, str) else verdict.value
    return models.SampleCheck(
        sample_id=sample_id, name=verdict.name, value=number, word=word,
        passed=verdict.passed, reason=verdict.reason,
    )  # fmt: skip


def judged_by_others(session: Session, rules_hash: str) -> list[str]:
    """Videos (sha256, sorted) whose samples were judged by other rules than these."""
    query = select(models.Video.sha256).where(models.Video.rules_hash != rules_hash)
    return sorted(session.scalars(query))


def mark_judged(session: Session, sha256s: Sequence[str], rules_hash: str) -> None:
    """Remember which rules the samples of those videos were judged by."""
    session.execute(
        update(models.Video).where(models.Video.sha256.in_(sha256s)).values(rules_hash=rules_hash)
    )


def measures(session: Session, sha256s: Sequence[str]) -> dict[str, dict[str, float | str | None]]:
    """By sample id, by check: what was measured on the samples of those videos, retired ones left out."""
    query = (
        select(models.SampleCheck)
        .join(models.Sample, models.Sample.id == models.SampleCheck.sample_id)
        .where(models.Sample.video_sha256.in_(sha256s), models.Sample.status != SampleStatus.RETIRED)
    )
    found: dict[str, dict[str, float | str | None]] = {}
    for row in session.scalars(query):
        found.setdefault(row.sample_id, {})[row.name] = row.word or row.value
    return found
