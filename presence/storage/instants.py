"""Instants, as the tables have them and as lists show them: in UTC, on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Dialect, String, type_coerce
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """An instant in UTC. SQLite stores text without a time zone, which is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store the instant in UTC; a naive datetime is a mistake and raises `ValueError`."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a time zone cannot be stored")
        return value.astimezone(UTC)

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        """Return what makes of an instant what the driver takes."""
        if dialect.name != "sqlite":
            return super().bind_processor(dialect)

        def text_of(value: datetime | None) -> str | None:
            stored = self.process_bind_param(value, dialect)
            return None if stored is None else text_of_instant(stored)

        return text_of

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the instant with its time zone."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class _InstantText(TypeDecorator[str]):
    """An instant as SQLite has it, in UTC: ``2026-05-04 10:30:00.000000``."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Let SQLite's text through, where the type of the column would make a datetime of it."""
        kind = String() if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(kind)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Return the text of an instant."""
        return None if value is None else text_of_instant(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """Return what makes the text of what the driver gives, which SQLite's gives as it is."""
        return None if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


class _Last:
    """The instant whose text was made last. All that one change writes has the same one."""

    known: tuple[datetime | None, str] = (None, "")


def instant_text(column: Any) -> ColumnElement[str]:
    """Select an instant as text in UTC: ``2026-05-04 10:30:00.000000``, which sorts as it does."""
    return type_coerce(column, _InstantText())


def text_of_instant(instant: datetime) -> str:
    """Return the same of an instant that is at hand."""
    known, text = _Last.known
    if known is not instant:
        text = instant.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
        _Last.known = instant, text
    return text
