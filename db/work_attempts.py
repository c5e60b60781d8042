"""Counts how often a piece of work crashed its worker."""

from sqlalchemy.orm import Session

from db import models


def add_attempt(session: Session, unit_id: str, error: str) -> int:
    """Record one more failed attempt; returns how many there are now."""
    row = session.get(models.WorkAttempt, unit_id)
    if row is None:
        row = models.WorkAttempt(id=unit_id, attempts=0)
        session.add(row)
    row.attempts += 1
    row.error = error
    return row.attempts


def forget_attempts(session: Session, unit_id: str) -> None:
    """Delete the count of a piece of work."""
    row = session.get(models.WorkAttempt, unit_id)
    if row is not None:
        session.delete(row)
