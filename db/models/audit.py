"""Exports, and the audit trail of events."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, now


class Export(Base):
    """One dataset that was written."""

    __tablename__ = "export"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    format: Mapped[str]
    path: Mapped[str]
    manifest_sha256: Mapped[str]
    samples: Mapped[int]


class Event(Base):
    """The audit trail: which command did what, when."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    digest: Mapped[str | None] = mapped_column(index=True)
    """Hash of the payload where the same event is recorded only once; else NULL."""
