"""What all tables share: the declarative base, and types that SQLite and Postgres store alike."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    String,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase

from db.trouble import damaged


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite would hand back a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC; without its zone on SQLite, which cannot keep one."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """Raise `DatabaseDamaged` for a stored text that is no time."""
        read = super().result_processor(dialect, coltype)
        if read is None:
            return None

        def checked(value: Any) -> Any:
            try:
                return read(value)
            except (ValueError, TypeError) as error:
                raise damaged(f"a value in the database is no time any more: {value!r}") from error

        return checked

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back an aware time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CleanText(TypeDecorator[str]):
    """Text without U+0000, which Postgres refuses and SQLite would keep: the last guard, for both alike.

    What people are to be told of is refused where it comes in, with the place in their file.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Leave the character out."""
        return value.replace("\0", "") if value is not None and "\0" in value else value


def now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Named constraints: a SQLite migration rebuilds tables and must be able to name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        datetime: UtcDateTime,
        str: CleanText,
        dict[str, Any]: JSON,
        int: BigInteger().with_variant(Integer(), "sqlite"),
    }
