"""The identity providers whose tokens this process takes, as a file describes them."""

from __future__ import annotations

import ssl
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from presence.config import ROOT, Settings
from presence.domain.permissions import issuers, public_keys
from presence.domain.permissions.issuers import Issuer, Provider
from presence.domain.permissions.public_keys import PublicKey
from presence.transport.trust.fetching import Fetch
from presence.transport.trust.key_addresses import KeyAddress

_SETTING = "PRESENCE_TOKEN_ISSUERS"
_MOST_BYTES = 1024 * 1024


class CannotTrust(Exception):
    """The issuers cannot be used as they are described; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The keys of an issuer that come from a file, which is read once."""

    rules: Issuer
    keys: Sequence[PublicKey]

    def matching(self, kid: str | None, algorithm: str) -> Sequence[PublicKey]:
        """Return the keys that may have signed a token."""
        return public_keys.matching(self.keys, kid, algorithm)


def described(settings: Settings) -> dict[str, Issuer]:
    """Return the issuers that the settings name, by their names; raises `CannotTrust`."""
    if not settings.token_issuers:
        return {}
    path = ROOT / settings.token_issuers
    try:
        tables = tomllib.loads(_read(path).decode())
    except OSError as error:
        raise CannotTrust(
            f"{_SETTING}: {path} cannot be read: {error.strerror}. Name a file that the user that "
            "runs the server can read; docs/access.md says what is in it."
        ) from None
    except UnicodeDecodeError:
        raise CannotTrust(f"{_SETTING}: {path} is not in UTF-8. Save it so.") from None
    except tomllib.TOMLDecodeError as error:
        raise CannotTrust(f"{_SETTING}: {path} is no TOML: {error}.") from None
    try:
        return issuers.parse(tables)
    except ValueError as error:
        raise CannotTrust(f"{_SETTING}: {path} {error}") from None


def keys_of_file(settings: Settings, name: str, rules: Issuer) -> list[PublicKey]:
    """Return the keys of an issuer that has them in a file; raises `CannotTrust`.

    A relative path begins where the file is that describes the issuers.
    """
    path = (ROOT / settings.token_issuers).parent / str(rules.keys_file)
    try:
        return public_keys.parse(_read(path))
    except OSError as error:
        raise CannotTrust(
            f"{_SETTING}: the keys_file of [{name}], {path}, cannot be read: {error.strerror}."
        ) from None
    except ValueError as error:
        raise CannotTrust(f"{_SETTING}: the keys_file of [{name}], {path}, {error}.") from None


def all_of(settings: Settings, spawn: Callable[[Callable[[], None]], Any]) -> list[Provider]:
    """Return the providers that the settings name; `spawn` does something beside everything else.

    Raises `CannotTrust`. Asks for no keys yet: `KeyAddress.look` does.
    """
    found: list[Provider] = []
    # Reading all the certificates of authorities takes too long for later.
    context = ssl.create_default_context() if settings.token_issuers else None
    for name, rules in described(settings).items():
        if rules.keys_url is not None:
            found.append(KeyAddress(name, rules, spawn, partial(Fetch, rules.keys_url, context)))
        else:
            found.append(KeyFile(rules, keys_of_file(settings, name, rules)))
    return found


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)
