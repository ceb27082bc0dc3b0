"""Every condition has one code, one status, and a sentence."""

from __future__ import annotations

import errno
import inspect

import pytest
from sqlalchemy.exc import OperationalError

from presence import errors
from presence.errors import PresenceError
from presence.transport.admission.error_handlers import STATUS, as_presence_error

CONDITIONS = [
    item
    for _name, item in inspect.getmembers(errors, inspect.isclass)
    if issubclass(item, PresenceError) and not item.__subclasses__()
]


def test_every_condition_can_be_had_from_the_package() -> None:
    bases = {PresenceError}
    for condition in CONDITIONS:
        bases |= {base for base in condition.__mro__ if issubclass(base, PresenceError)}
    found = {PresenceError, *_below(PresenceError)}
    assert {item for item in found if item.__module__.startswith("presence.")} == bases
    assert {item.__name__ for item in bases} <= set(errors.__all__)


def _below(condition: type[PresenceError]) -> set[type[PresenceError]]:
    own = set(condition.__subclasses__())
    return own.union(*map(_below, own))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_has_a_status_and_a_code_of_its_own(
    condition: type[PresenceError],
) -> None:
    assert 400 <= STATUS[condition] < 600
    assert [other.code for other in CONDITIONS].count(condition.code) == 1
    assert condition.__doc__


@pytest.mark.parametrize(
    ("exception", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "storage_full"),
        (OSError(errno.EROFS, "Read-only file system"), "storage_unavailable"),
        (OperationalError("x", {}, Exception("database or disk is full")), "storage_full"),
        (OperationalError("x", {}, Exception("database is locked")), "storage_unavailable"),
        (RuntimeError("unforeseen"), "internal_error"),
        (errors.NotJoined(), "not_joined"),
    ],
)
def test_what_goes_wrong_below_becomes_a_condition(exception: Exception, code: str) -> None:
    error = as_presence_error(exception)
    assert error.code == code
    assert "unforeseen" not in error.detail
    assert bool(error.extra.get("ref")) == (code != "not_joined")
