"""What the value of a setting may be: each function takes a value, and knows no setting by name.

Those that refuse one raise `ValueError` with the end of a sentence; the name of the setting is its
beginning. Imports nothing of the server and no framework, as `presence.config` does.
"""

from __future__ import annotations

import base64
import ipaddress
import math
import re
import unicodedata
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

FOREVER, OFF = "forever", "off"
SECONDS_A_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}

# What backends can be told of.
EVENT_TYPES = (
    *("room_made", "room_emptied", "room_removed", "room_updated"),
    *("peer_joined", "peer_left", "peer_updated"),
    *("file_uploaded", "file_deleted", "peer_wanted", "broadcast_sent"),
)

# What the server's own paths begin with.
OWN_PATHS = frozenset(
    (
        *("admin", "api", "clients", "docs", "doctor", "fragments", "healthz", "metrics", "readyz"),
        *("rooms", "socket.io", "static", "uploads"),
    )
)

# The first is what some hosters write; the driver is always the same.
_POSTGRESQL = ("postgres://", "postgresql://", "postgresql+psycopg2://")
_SQLITE = "sqlite:///"

_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]{1,64}){1,8}")

# How many characters of a value a refusal repeats.
_MOST_REPEATED = 80

# A name of a machine, or an IPv4 address.
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})")
# The same as people list it, in any script, with a port or without.
_NAME_AND_PORT = re.compile(r"[\w.-]+(:\d{1,5})?")
# An IPv6 address without a zone: in brackets, where a port may follow, or by itself.
_IPV6 = re.compile(r"\[([0-9a-fA-F:.]{2,45})\](?::\d{1,5})?|([0-9a-fA-F:.]{2,45})")


def quoted(text: str) -> str:
    """Return a value as a refusal repeats it: in quotes, and no more of it than a line takes."""
    return repr(text) if len(text) <= _MOST_REPEATED else f"{text[:_MOST_REPEATED]!r}…"


def parse(text: str, default: Any) -> Any:
    """Turn `text` into the type of `default`."""
    if isinstance(default, bool):
        if text.lower() in {"1", "true", "yes", "on"}:
            return True
        if text.lower() in {"0", "false", "no", "off"}:
            return False
        raise ValueError(f"must be true or false, not {quoted(text)}.")
    try:
        value = type(default)(text)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError
        return value
    except ValueError:
        kind = {int: "a whole number", float: "a number"}[type(default)]
        raise ValueError(f"must be {kind}, not {quoted(text)}.") from None


def check_range(value: float, *, least: float, above: float | None, most: float) -> None:
    """Refuse a number below `least`, one that is not more than `above`, and one beyond `most`."""
    if above is not None and value <= above:
        raise ValueError(f"must be more than {above:g}, not {value:g}.")
    if above is None and value < least:
        what = "0 or more" if least == 0 else f"at least {least:g}"
        raise ValueError(f"must be {what}, and is {value}.")
    if value > most:
        raise ValueError(f"must be at most {most}, and is more.")


def check_unquoted(text: str) -> None:
    """Refuse quotes around a value, which whoever passed it on has taken for a part of it."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        raise ValueError(
            "must stand without quotes around it: nothing takes them off here, as in a file for "
            "“docker run --env-file”."
        )


def check_printable(text: str) -> None:
    """Refuse what cannot be in an address, a path or a header."""
    if not text.isprintable():
        raise ValueError("must have no line breaks or other characters that cannot be printed.")


def check_choice(text: str, choices: tuple[str, ...], *, any_case: bool = False) -> None:
    """Refuse what is none of the choices."""
    fitting = {choice.lower() for choice in choices} if any_case else set(choices)
    if (text.lower() if any_case else text) not in fitting:
        raise ValueError(f"must be {', '.join(choices[:-1])} or {choices[-1]}.")


def listed(text: str) -> list[str]:
    """Return the parts of a text that separates them by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def seconds_of(duration: str) -> int | None:
    """Return a duration such as ``30d`` in seconds, or None for ``forever``."""
    if duration.strip().lower() == FOREVER:
        return None
    found = re.fullmatch(r"(\d{1,9})([smhdw])", duration.strip())
    if found is None or not int(found[1]):
        raise ValueError(
            "must be a number followed by s, m, h, d or w (such as 12h or 30d), or “forever”."
        )
    return int(found[1]) * SECONDS_A_UNIT[found[2]]


def ipv6(host: str) -> ipaddress.IPv6Address | None:
    """Return the IPv6 address that a host is, however it is written; None for any other host.

    In brackets there may be a port behind it, as in a ``Host`` header (RFC 3986, section 3.2.2).
    """
    found = _IPV6.fullmatch(host)
    try:
        return ipaddress.IPv6Address(found[1] or found[2]) if found else None
    except ValueError:
        return None


def bracketed(host: str) -> str:
    """Return a name or address as it stands in a URL: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def listening_address(host: str) -> str:
    """Return what to listen on as sockets take it: IPv6 in its short form, without brackets.

    Refuses what is no address or name alone, such as one with its port or scheme.
    """
    if _NAME.fullmatch(host):
        return host
    address = None if host.startswith("[") and not host.endswith("]") else ipv6(host)
    if address is None:
        raise ValueError(
            f"must be one address or name to listen on, such as 127.0.0.1, ::1, 0.0.0.0 or ::, "
            f"not {quoted(host)}. The port is PORT; a zone (%eth0) cannot be used."
        )
    return str(address)


def is_path(path: str) -> bool:
    """Tell whether a server may stand below a path: ``/a/b``, and nothing that leads elsewhere."""
    return _PATH.fullmatch(path) is not None


def check_path_prefix(prefix: str) -> None:
    """Refuse what is no path, or could be taken for one of the server's own; empty is none."""
    path = prefix.rstrip("/")
    if not path:
        return
    if not is_path(path):
        raise ValueError(
            f"must be a path such as /presence, of letters, digits, hyphens, dots and "
            f"underscores, not {quoted(prefix)}."
        )
    first = path.split("/")[1]
    if first in OWN_PATHS:
        raise ValueError(
            f"must not begin with /{first}, which is a path of the server itself. Choose another, "
            "such as /presence."
        )


def is_postgresql(url: str) -> bool:
    """Tell whether a database's address is one of PostgreSQL."""
    return url.startswith(_POSTGRESQL)


def sqlite_path(url: str) -> str | None:
    """Return the path of an SQLite file that an address names, in which %20 is a space."""
    return unquote(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def sqlite_url(path: Path) -> str:
    """Return the address of an SQLite file, whatever characters its path has."""
    return _SQLITE + quote(str(path))


def check_database_url(url: str) -> None:
    """Refuse the address of a database that no engine here understands.

    Does not repeat the address, which has the password in it.
    """
    if url.startswith(_SQLITE):
        if url == _SQLITE or "?" in url:
            raise ValueError(
                "must name a file after sqlite:/// and nothing else, such as "
                "sqlite:///instance/presence.db."
            )
    elif not is_postgresql(url):
        # psycopg 3, for one, would stop every greenlet while it waits.
        raise ValueError(
            "must begin with sqlite:/// or postgresql:// (with psycopg2, which need not be named)."
        )
    elif not _is_url(url):
        raise ValueError(
            "must be like postgresql://user:password@host:5432/name. In user and password write @ "
            "as %40, : as %3A, / as %2F, # as %23 and % as %25."
        )


def check_redis_url(url: str) -> None:
    """Refuse what is no address of Redis; empty is none."""
    if url and not (_is_url(url, ("redis", "rediss", "unix")) and _has_place(url)):
        raise ValueError(
            "must begin with redis:// (rediss:// for TLS, unix:// for a socket), and have a host, "
            "such as redis://localhost:6379/0."
        )


def check_redis_prefix(prefix: str) -> None:
    """Refuse what would be a pattern, or more than one word, to Redis."""
    if not re.fullmatch(r"[\w.:/{}-]{1,64}", prefix):
        raise ValueError("must be 1 to 64 letters, digits and the characters “_.:/{}-”.")


def check_bucket_url(url: str) -> None:
    """Refuse what is no address of a bucket; empty is none."""
    if not re.fullmatch(r"(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?)?", url):
        raise ValueError(
            "must be empty or like s3://bucket/prefix; a bucket's name has 3 to 63 lower-case "
            "letters, digits, hyphens and dots."
        )


def check_endpoint(url: str) -> None:
    """Refuse what is no address of an HTTP server; empty is none."""
    if url and not (_is_url(url, ("http", "https")) and _has_place(url)):
        raise ValueError(
            "must begin with http:// or https:// and have a host, such as https://s3.example.org."
        )


def check_worker_name(name: str) -> None:
    """Refuse what cannot begin the id of a connection; empty is none."""
    if not re.fullmatch(r"[a-z0-9-]{0,16}", name):
        raise ValueError("must be up to 16 lower-case letters, digits and hyphens.")


def origins(text: str) -> str | list[str]:
    """Return a list of origins as Flask-SocketIO and Flask-Cors take it; ``"*"`` for all."""
    # Browsers send an origin without the slash with which people copy it.
    found = [part.rstrip("/").lower() for part in listed(text)]
    return "*" if "*" in found else found


def check_origins(text: str) -> None:
    """Refuse what no browser sends as an origin, and so would let no page in."""
    found = origins(text)
    for origin in () if found == "*" else found:
        if origin != "null" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s@]+", origin):
            raise ValueError(
                f"must list origins, and {quoted(origin)} is none. Write it with its scheme, and "
                "without a path: https://app.example.org."
            )


def check_hosts(text: str) -> None:
    """Refuse what nobody's ``Host`` can be."""
    for host in listed(text):
        name = host.removeprefix(".")
        if host != "*" and not _NAME_AND_PORT.fullmatch(name) and ipv6(host) is None:
            raise ValueError(
                f"must list names of servers, and {quoted(host)} is none. Write it without scheme "
                "and path: presence.example.org."
            )


def check_ice_urls(text: str, schemes: tuple[str, str]) -> None:
    """Refuse addresses of STUN or TURN servers that every browser would refuse (RFC 7064, 7065)."""
    for url in listed(text):
        if not re.fullmatch(rf"({'|'.join(schemes)})[^\s/@]+", url):
            raise ValueError(
                f"must list addresses that begin with {' or '.join(schemes)} and go on with a "
                f"host, such as {schemes[0]}turn.example.org:3478, and {quoted(url)} is none."
            )


def check_header_value(text: str) -> None:
    """Refuse what cannot be sent as one word of a header."""
    if not re.fullmatch(r"[!-~]*", text):
        raise ValueError("must be ASCII without spaces, as it is sent in a header.")


def check_webhook_urls(text: str) -> None:
    """Refuse addresses to which nothing could be sent."""
    for url in listed(text):
        if not (_is_url(url, ("http", "https")) and _has_place(url)):
            raise ValueError(
                "must be addresses that begin with https:// (or http://), have a host and no “#”, "
                "separated by commas; a comma in one is written %2C."
            )


def check_webhook_secrets(text: str) -> None:
    """Refuse secrets with which nothing could be signed (Standard Webhooks, “Signature scheme”)."""
    for secret in listed(text):
        encoded = secret.removeprefix("whsec_")
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except ValueError:
            key = b""
        if not 24 <= len(key) <= 64:
            raise ValueError(
                "must each be whsec_ and 24 to 64 bytes in base64; docs/backend.md has a line that "
                "makes one."
            )


def event_types(text: str) -> frozenset[str]:
    """Return the events that are named, one by one or by a word for several."""
    named = listed(text)
    usual = [name for name in EVENT_TYPES if name != "broadcast_sent"]
    spelled = {"usual": usual, "all": list(EVENT_TYPES)}
    found = frozenset(name for item in named for name in spelled.get(item, [item]))
    if not found or found - set(EVENT_TYPES):
        raise ValueError(f"must be usual, all, or some of {', '.join(EVENT_TYPES)}.")
    return found


def check_event_rooms(text: str) -> None:
    """Refuse what is no name of a room and no pattern, and what names none at all."""
    patterns = listed(text)
    if not patterns:
        raise ValueError("must name a room, or a pattern; * stands for all rooms.")
    for pattern in patterns:
        literal = unicodedata.normalize("NFC", pattern.replace("\\*", "x"))
        is_name = "*" not in literal
        if (
            len(pattern) > 256
            or re.search(r"[/\\]", literal)
            or (is_name and (len(literal) > 128 or literal in (".", "..") or not _shows(literal)))
        ):
            raise ValueError(
                "must be names of rooms (of up to 128 characters) and patterns (256), and "
                f"{quoted(pattern)} is neither; none has a slash, and a backslash may stand only "
                "before an asterisk."
            )


def _shows(name: str) -> bool:
    """Tell whether a name has a character that can be seen."""
    return any(
        unicodedata.category(one)[0] in "LNPS" and "FILLER" not in unicodedata.name(one, "")
        for one in name
    )


def seconds_of_events(text: str) -> int | None:
    """Return for how many seconds events are kept: None for ever, 0 not at all."""
    return 0 if text.strip().lower() == OFF else seconds_of(text)


def keys_by_kid(text: str) -> dict[str, str]:
    """Return keys of tokens by their key id, in the order in which they are given."""
    keys: dict[str, str] = {}
    for item in listed(text):
        kid, colon, key = item.partition(":")
        if not colon or not re.fullmatch(r"[\w.-]{1,64}", kid) or kid in keys:
            raise ValueError(
                "must be pairs such as 2026-05:<secret>, separated by commas, each name of letters "
                "and digits and given once."
            )
        keys[kid] = key
    return keys


def _is_url(text: str, schemes: tuple[str, ...] = ()) -> bool:
    """Tell whether a text is an address, with a scheme of these where any are given."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return False
    is_known = not schemes or parts.scheme in schemes
    return is_known and not parts.fragment and not re.search(r"\s", text)


def _has_place(url: str) -> bool:
    """Tell whether an address says where: by a host, or by the path of a socket."""
    parts = urlsplit(url)
    return bool(parts.path if parts.scheme == "unix" else parts.hostname)
