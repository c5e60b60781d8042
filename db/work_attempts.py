"""How often a piece of work took its worker down."""

from sqlalchemy.orm import Session

from db import models


def add_attempt(session: Session, unit_id: str, error: str) -> int:
    """Count one more failed attempt; returns how many there are now."""
    unit = session.get(models.WorkAttempt, unit_id)
    if unit is None:
        unit = models.WorkAttempt(id=unit_id, attempts=0)
        session.add(unit)
    unit.attempts += 1
    unit.error = error
    return unit.attempts


def forget_attempts(session: Session, unit_id: str) -> None:
    """Start counting again."""
    unit = session.get(models.WorkAttempt, unit_id)
    if unit is not None:
        session.delete(unit)
