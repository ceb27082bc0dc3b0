"""Columns that are read as the text that goes into a list, without being parsed on the way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Dialect, String, Text, cast, type_coerce
from sqlalchemy.types import TypeDecorator, TypeEngine


class _InstantText(TypeDecorator[str]):
    """An instant as SQLite has it, in UTC: ``2026-05-04 10:30:00.000000``."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Let SQLite's text through, where the type of the column would make a datetime of it."""
        kind = String() if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(kind)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Return the text of an instant."""
        if value is None:
            return None
        if isinstance(value, datetime):
            return text_of_instant(value)
        return str(value)


def instant_text(column: Any) -> ColumnElement[str]:
    """Select an instant as text in UTC: ``2026-05-04 10:30:00.000000``, which sorts as it does."""
    return type_coerce(column, _InstantText())


def text_of_instant(instant: datetime) -> str:
    """Return the same of an instant that is at hand."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def json_text(column: Any) -> ColumnElement[str]:
    """Select a JSON column as the text of its JSON."""
    return cast(column, Text)
