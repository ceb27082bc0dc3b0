"""Every setting of the server, read once from the environment.

What their values may be is in `presence.setting_values`. Imports nothing else of the server and no
framework: ``gunicorn.conf.py`` reads it before the worker has patched the standard library.
"""

from __future__ import annotations

import difflib
import io
import os
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from dotenv import load_dotenv
from dotenv.parser import parse_stream

from presence import setting_values as values
from presence.setting_values import FOREVER

_MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parent.parent
# The one version: of the server, of the descriptions of its API, and of the clients it hands out.
# CHANGELOG.md has a section for each that was released; `script/release` makes its files.
VERSION = "0.1.0"

_PREFIX = "PRESENCE_"
# What may be meant to begin like a setting: in small letters, or misspelt.
_LIKE_PREFIX = re.compile(r"pre[a-z]{2,7}_", re.IGNORECASE)
# What begins so and is none of the server's business: how much the tests do, and what Kubernetes
# tells every container of a service that is called presence.
_NOT_MEANT = re.compile(
    r"PRESENCE_(TEST_\w+|(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP)(_\w+)?))=.*"
    r"|PRESENCE_(\w+_)?PORT=(tcp|udp)://.*"
)

# How alike two names are of which one was meant to be the other.
_VERY_CLOSE = 0.9

# Numbers beyond these are mistakes, and some part or other would fail of them later: columns of 32
# bits, timers of the system, which count milliseconds in as many. Sizes go as far as a disk might.
_MOST = 2**31 - 1
_MOST_SECONDS = 2_000_000
_MOST_BYTES = 2**62

# What HMAC-SHA256 asks of a key (RFC 7518, section 3.2).
_MIN_KEY_BYTES = 32


class InvalidSetting(ValueError):
    """A setting has a value that the server cannot use; the message names it and says what fits."""


def _setting(
    variable: str,
    default: Any,
    description: str,
    *,
    secret: bool = False,
    least: float = 0,
    above: float | None = None,
    most: float | None = None,
    check: Callable[[Any], object] | None = None,
) -> Any:
    """Declare a field of `Settings`: its environment variable, default and one-line meaning.

    A number is from `least` to `most`, or more than `above`; `check` raises `ValueError` for any
    other value that cannot be. A secret is left out where the settings are printed.
    """
    if most is None:
        most = _MOST_SECONDS if isinstance(default, float) else _MOST
        most = _MOST_BYTES if "_BYTES" in variable else most
    checks: list[Callable[[Any], object]] = []
    if isinstance(default, str):
        checks.append(values.check_printable)
    elif not isinstance(default, bool):
        checks.append(partial(values.check_range, least=least, above=above, most=most))
    metadata = {
        "variable": variable,
        "description": description,
        "least": least,
        "above": above,
        "most": most,
        "checks": (check, *checks) if check else tuple(checks),
    }
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """The settings of one server process. Sizes are in bytes, durations in seconds."""

    host: str = _setting(
        "HOST",
        "127.0.0.1",
        "address to listen on; 0.0.0.0 for every interface, :: for IPv6 too",
        check=values.listening_address,
    )
    port: int = _setting(
        "PORT",
        3001,
        "port to listen on",
        least=1,
        most=65_535,
    )
    database_url: str = _setting(
        "DATABASE_URL",
        "sqlite:///instance/presence.db",
        "where rooms and peers are kept: a file, or postgresql://user:password@host/name",
        check=values.check_database_url,
    )
    database_connections: int = _setting(
        "PRESENCE_DATABASE_CONNECTIONS",
        10,
        "connections one process opens to PostgreSQL",
        least=1,
    )
    worker_name: str = _setting(
        "PRESENCE_WORKER_NAME",
        "",
        "what a proxy knows this process by: ids of its connections begin with it and a dot",
        check=values.check_worker_name,
    )
    redis_prefix: str = _setting(
        "PRESENCE_REDIS_PREFIX",
        "presence:",
        "what the names of this server in Redis begin with",
        check=values.check_redis_prefix,
    )
    redis_url: str = _setting(
        "REDIS_URL",
        "",
        "Redis that several processes share, such as redis://host:6379/0",
        check=values.check_redis_url,
    )
    upload_dir: str = _setting("UPLOAD_DIR", "uploads", "folder that holds uploaded files")
    upload_url: str = _setting(
        "UPLOAD_URL",
        "",
        "bucket that holds them instead, s3://bucket/prefix; they still come in through UPLOAD_DIR",
        check=values.check_bucket_url,
    )
    s3_endpoint: str = _setting(
        "PRESENCE_S3_ENDPOINT",
        "",
        "address of the bucket's server, where it is not Amazon's",
        check=values.check_endpoint,
    )
    mode: str = _setting(
        "PRESENCE_MODE",
        "open",
        "open: anyone may do anything; locked: what a signed token allows",
        check=partial(values.check_choice, choices=("open", "locked")),
    )
    secret_key: str = _setting(
        "SECRET_KEY",
        "",
        "signs tokens and file addresses when locked; 32 bytes or more",
        secret=True,
    )
    token_keys: str = _setting(
        "PRESENCE_TOKEN_KEYS",
        "",
        "keys of tokens by kid, such as b:<secret>,a:<secret>; the first signs new ones",
        secret=True,
        check=values.keys_by_kid,
    )
    token_issuers: str = _setting(
        "PRESENCE_TOKEN_ISSUERS",
        "",
        "file (TOML) of identity providers whose tokens are taken when locked; docs/access.md",
    )
    allowed_hosts: str = _setting(
        "PRESENCE_ALLOWED_HOSTS",
        "",
        "names by which the server is called, by commas; .example.org for all below it",
        check=values.check_hosts,
    )
    file_url_seconds: int = _setting(
        "PRESENCE_FILE_URL_SECONDS",
        3600,
        "how long the address of a file is good when locked; up to twice as long",
        least=1,
    )
    allowed_origins: str = _setting(
        "PRESENCE_ALLOWED_ORIGINS",
        "*",
        "web origins that may use the server, separated by commas; * for all",
        check=values.check_origins,
    )
    max_peers: int = _setting(
        "PRESENCE_MAX_PEERS",
        100,
        "active peers a room holds; fixed when the room is made",
        least=1,
    )
    max_upload_bytes: int = _setting(
        "PRESENCE_MAX_UPLOAD_BYTES",
        16 * 1024 * 1024,
        "largest file that may be uploaded",
        least=1,
    )
    max_image_pixels: int = _setting(
        "PRESENCE_MAX_IMAGE_PIXELS", 200_000_000, "pixels of an uploaded image; 0 for any number"
    )
    reencode_images: bool = _setting(
        "PRESENCE_REENCODE_IMAGES",
        False,
        "store pictures made anew: upright, without place, time and camera",
    )
    file_checkers: int = _setting(
        "PRESENCE_FILE_CHECKERS",
        2,
        "uploaded files that are looked at at once",
        least=1,
    )
    file_check_seconds: float = _setting(
        "PRESENCE_FILE_CHECK_SECONDS",
        10.0,
        "computing that looking at a file may take",
        above=0,
    )
    file_check_bytes: int = _setting(
        "PRESENCE_FILE_CHECK_BYTES",
        2048 * _MIB,
        "memory that looking at a file may take",
        least=1,
    )
    resume_seconds: float = _setting(
        "PRESENCE_RESUME_SECONDS",
        3600.0,
        "how long an upload that broke off can be resumed (tus)",
        above=0,
    )
    max_files_per_peer: int = _setting(
        "PRESENCE_MAX_FILES_PER_PEER", 100, "files a peer may have; 0 for any number"
    )
    max_bytes_per_peer: int = _setting(
        "PRESENCE_MAX_BYTES_PER_PEER", 256 * _MIB, "bytes of a peer's files; 0 for any number"
    )
    max_bytes_per_room: int = _setting(
        "PRESENCE_MAX_BYTES_PER_ROOM",
        1024 * _MIB,
        "bytes of a room's files, data and kept broadcasts; 0 for any number",
    )
    max_bytes_total: int = _setting(
        "PRESENCE_MAX_BYTES_TOTAL",
        10 * 1024 * _MIB,
        "bytes of all of that; 0 for any number",
    )
    min_free_disk_bytes: int = _setting(
        "PRESENCE_MIN_FREE_DISK_BYTES",
        256 * _MIB,
        "bytes that uploads and an SQLite database leave free on their disk",
    )
    max_rooms: int = _setting("PRESENCE_MAX_ROOMS", 10_000, "rooms there may be; 0 for any number")
    rooms: str = _setting(
        "PRESENCE_ROOMS",
        "joined",
        "joined: a room is made when somebody joins it; made: only rooms that exist may be joined",
        check=partial(values.check_choice, choices=("joined", "made")),
    )
    max_rooms_each: int = _setting(
        "PRESENCE_MAX_ROOMS_EACH",
        1_000,
        "rooms that one peer whose token is for a pattern, or one address of an open server, may "
        "have made; 0 for any number",
    )
    max_idempotency_keys: int = _setting(
        "PRESENCE_MAX_IDEMPOTENCY_KEYS",
        10_000,
        "keys (Idempotency-Key) that one caller may send within a day; their answers are kept",
        least=1,
    )
    max_kept_peers: int = _setting(
        "PRESENCE_MAX_KEPT_PEERS",
        1_000,
        "peers a room keeps, active or not; the longest away go first; 0 for any number",
    )
    keep_inactive_peers: str = _setting(
        "PRESENCE_KEEP_INACTIVE_PEERS",
        FOREVER,
        "how long peers are kept after they were last seen, such as 30d",
        check=values.seconds_of,
    )
    keep_empty_rooms: str = _setting(
        "PRESENCE_KEEP_EMPTY_ROOMS",
        FOREVER,
        "how long rooms are kept without any peer",
        check=values.seconds_of,
    )
    keep_files: str = _setting(
        "PRESENCE_KEEP_FILES",
        FOREVER,
        "how long files are kept after their upload",
        check=values.seconds_of,
    )
    keep_activity: str = _setting(
        "PRESENCE_KEEP_ACTIVITY",
        FOREVER,
        "how long it is kept what happened in a room",
        check=values.seconds_of,
    )
    keep_broadcasts: int = _setting(
        "PRESENCE_KEEP_BROADCASTS",
        0,
        "broadcasts with keep that a room keeps for those who are away, the newest; 0 for none",
    )
    keep_broadcasts_for: str = _setting(
        "PRESENCE_KEEP_BROADCASTS_FOR",
        "1d",
        "how long they are kept",
        check=values.seconds_of,
    )
    max_user_data_bytes: int = _setting(
        "PRESENCE_MAX_USER_DATA_BYTES",
        16 * 1024,
        "largest user_data of a peer, and room_data of a room, as compact JSON",
        least=1,
    )
    max_message_bytes: int = _setting(
        "PRESENCE_MAX_MESSAGE_BYTES",
        1_000_000,
        "largest Socket.IO message or JSON request body",
        least=1,
    )
    rest_session_seconds: float = _setting(
        "PRESENCE_REST_SESSION_SECONDS",
        60.0,
        "how long a peer that joined over REST stays active without another call",
        above=0,
    )
    max_signal_bytes: int = _setting(
        "PRESENCE_MAX_SIGNAL_BYTES",
        64 * 1024,
        "largest data of a signal or broadcast, as JSON",
        least=1,
    )
    hold_seconds: float = _setting(
        "PRESENCE_HOLD_SECONDS",
        10.0,
        "how long signals wait for a peer whose connection was just lost",
    )
    max_held_signals: int = _setting(
        "PRESENCE_MAX_HELD_SIGNALS", 64, "signals that wait for one such peer; 0 for none"
    )
    max_held_bytes: int = _setting(
        "PRESENCE_MAX_HELD_BYTES", 32 * 1024 * 1024, "all waiting signals of the process together"
    )
    stun_urls: str = _setting(
        "PRESENCE_STUN_URLS",
        "",
        "STUN servers for clients, such as stun:host:3478, by commas",
        check=partial(values.check_ice_urls, schemes=("stun:", "stuns:")),
    )
    turn_urls: str = _setting(
        "PRESENCE_TURN_URLS",
        "",
        "TURN servers for clients, such as turn:host:3478, by commas",
        check=partial(values.check_ice_urls, schemes=("turn:", "turns:")),
    )
    turn_secret: str = _setting(
        "PRESENCE_TURN_SECRET",
        "",
        "secret shared with the TURN servers (static-auth-secret)",
        secret=True,
    )
    turn_ttl: int = _setting(
        "PRESENCE_TURN_TTL",
        3600,
        "seconds for which TURN credentials are good",
        least=1,
    )
    disconnect_grace: float = _setting(
        "PRESENCE_DISCONNECT_GRACE",
        0.0,
        "seconds in which a lost connection may come back before anybody is told",
    )
    announce_window: float = _setting(
        "PRESENCE_ANNOUNCE_WINDOW",
        0.05,
        "changes of a room within this many seconds share one list",
    )
    state_window: float = _setting(
        "PRESENCE_STATE_WINDOW",
        0.05,
        "states of the moment that change within this many seconds share one message",
    )
    ping_interval: float = _setting(
        "PRESENCE_PING_INTERVAL",
        5.0,
        "seconds between two pings of a connection",
        above=0,
    )
    ping_timeout: float = _setting(
        "PRESENCE_PING_TIMEOUT",
        5.0,
        "seconds a client has to answer a ping",
        above=0,
    )
    max_connections: int = _setting(
        "PRESENCE_MAX_CONNECTIONS",
        10_000,
        "connections one process holds open",
        least=1,
    )
    trusted_proxies: int = _setting(
        "PRESENCE_TRUSTED_PROXIES",
        0,
        "reverse proxies in front of the server, which add to X-Forwarded-For",
    )
    prefix: str = _setting(
        "PRESENCE_PREFIX",
        "",
        "path below which the server stands, such as /presence; else X-Forwarded-Prefix says it",
        check=values.check_path_prefix,
    )
    sockets_per_address: int = _setting(
        "PRESENCE_SOCKETS_PER_ADDRESS",
        5000,
        "connections of one address that a process holds open; 0 for any number",
    )
    connects_per_minute: int = _setting(
        "PRESENCE_CONNECTS_PER_MINUTE",
        6000,
        "connections that one address may open in a minute; 0 for any number",
    )
    requests_at_once: int = _setting(
        "PRESENCE_REQUESTS_AT_ONCE",
        500,
        "REST requests of one address that are under way at once; 0 for any number",
    )
    max_answer_bytes: int = _setting(
        "PRESENCE_MAX_ANSWER_BYTES",
        256 * _MIB,
        "lists of rooms that are being sent to slow readers, all together",
        least=1,
    )
    max_database_bytes: int = _setting(
        "PRESENCE_MAX_DATABASE_BYTES",
        4096 * _MIB,
        "what the database holds before nothing more is added; 0 for any number",
    )
    read_seconds: float = _setting(
        "PRESENCE_READ_SECONDS",
        10.0,
        "how long a request that does not keep coming is waited for, or a connection's first use",
        above=0,
    )
    events_per_second: float = _setting(
        "PRESENCE_EVENTS_PER_SECOND",
        100.0,
        "messages that a connection may send in the long run; 0 for any number",
    )
    event_burst: int = _setting(
        "PRESENCE_EVENT_BURST", 3000, "messages that it may send at once before it is slowed"
    )
    flood_seconds: float = _setting(
        "PRESENCE_FLOOD_SECONDS",
        10.0,
        "how long a connection may go on when slowed before it is closed; 0 for ever",
    )
    requests_per_minute: int = _setting(
        "PRESENCE_REQUESTS_PER_MINUTE",
        12_000,
        "REST requests of one address in a minute; 0 for any number",
    )
    uploads_per_minute: int = _setting(
        "PRESENCE_UPLOADS_PER_MINUTE", 300, "uploads for one peer in a minute; 0 for any number"
    )
    failed_tokens_per_minute: int = _setting(
        "PRESENCE_FAILED_TOKENS_PER_MINUTE",
        60,
        "refused tokens of one address in a minute; 0 for any number",
    )
    max_waiting: int = _setting(
        "PRESENCE_MAX_WAITING", 100, "who may wait in front of one room with a lobby at once"
    )
    wrong_passwords_per_minute: int = _setting(
        "PRESENCE_WRONG_PASSWORDS_PER_MINUTE",
        10,
        "wrong passwords of rooms from one address in a minute, and ten times as many for one "
        "room; 0 for any number",
    )
    websocket_compression: bool = _setting(
        "PRESENCE_WEBSOCKET_COMPRESSION",
        False,
        "compress WebSocket messages: less traffic, several times the CPU",
    )
    stall_seconds: float = _setting(
        "PRESENCE_STALL_SECONDS",
        0.1,
        "what keeps everybody waiting for longer is named in the log; 0 to name nothing",
    )
    webhook_urls: str = _setting(
        "PRESENCE_WEBHOOK_URLS",
        "",
        "addresses of backends that are told what happens in rooms, by commas",
        secret=True,
        check=values.check_webhook_urls,
    )
    webhook_secrets: str = _setting(
        "PRESENCE_WEBHOOK_SECRETS",
        "",
        "secrets that sign what they are told (whsec_…), by commas: all of them sign",
        secret=True,
        check=values.check_webhook_secrets,
    )
    events: str = _setting(
        "PRESENCE_EVENTS",
        "usual",
        "which events backends are told: usual (all but broadcast_sent), all, or names by commas",
        check=values.event_types,
    )
    event_rooms: str = _setting(
        "PRESENCE_EVENT_ROOMS",
        "*",
        "the rooms of which they are told: names and patterns such as team-*, by commas",
        check=values.check_event_rooms,
    )
    keep_events: str = _setting(
        "PRESENCE_KEEP_EVENTS",
        values.OFF,
        "how long events are kept for backends to fetch, such as 7d; off to keep none",
        check=values.seconds_of_events,
    )
    metrics_token: str = _setting(
        "PRESENCE_METRICS_TOKEN",
        "",
        "what /metrics asks for as “Authorization: Bearer …”",
        secret=True,
        check=values.check_header_value,
    )
    log_format: str = _setting(
        "PRESENCE_LOG_FORMAT",
        "text",
        "text or json: one line a record either way",
        check=partial(values.check_choice, choices=("text", "json"), any_case=True),
    )
    log_level: str = _setting(
        "PRESENCE_LOG_LEVEL",
        "INFO",
        "DEBUG, INFO, WARNING or ERROR",
        check=partial(
            values.check_choice, choices=("DEBUG", "INFO", "WARNING", "ERROR"), any_case=True
        ),
    )

    def __post_init__(self) -> None:
        """Refuse values that would only fail later, far from their cause."""
        for item in fields(self):
            for check in item.metadata["checks"]:
                with _naming(item.metadata["variable"]):
                    check(getattr(self, item.name))
        self._check_turn()
        self._check_access()
        self._check_webhooks()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from environment variables (`os.environ` when none are given).

        An empty variable counts as unset. Raises `InvalidSetting` for a value of the wrong kind.
        """
        environment = os.environ if environment is None else environment
        found: dict[str, Any] = {}
        for setting in fields(cls):
            text = environment.get(setting.metadata["variable"], "").strip()
            if text:
                with _naming(setting.metadata["variable"]):
                    values.check_unquoted(text)
                    found[setting.name] = values.parse(text, setting.default)
        return cls(**found)

    def _check_turn(self) -> None:
        """Refuse TURN servers without their secret."""
        if values.listed(self.turn_urls) and not self.turn_secret:
            raise InvalidSetting(
                "PRESENCE_TURN_SECRET must be set with PRESENCE_TURN_URLS: the same value as "
                "static-auth-secret of the TURN server."
            )

    def _check_webhooks(self) -> None:
        """Refuse webhooks whose requests nobody could sign."""
        if self.hooks and not values.listed(self.webhook_secrets):
            raise InvalidSetting("PRESENCE_WEBHOOK_SECRETS must be set with PRESENCE_WEBHOOK_URLS.")

    def _check_access(self) -> None:
        """Refuse to be locked with what would not keep anybody out."""
        if not self.is_locked:
            return
        for name, key in {"SECRET_KEY": self.secret_key, **self.keys_by_kid}.items():
            if len(key.encode()) < _MIN_KEY_BYTES:
                what = name if name == "SECRET_KEY" else f"The key {name!r} of PRESENCE_TOKEN_KEYS"
                raise InvalidSetting(
                    f"{what} must have {_MIN_KEY_BYTES} bytes or more for PRESENCE_MODE=locked. "
                    "One is made by: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
                )
        for name, listed in (("allowed_origins", self.origins), ("allowed_hosts", self.hosts)):
            if not listed or "*" in listed:
                raise InvalidSetting(
                    f"{variable_of(name)} must list what is allowed, without *, for "
                    "PRESENCE_MODE=locked."
                )

    @property
    def hooks(self) -> list[str]:
        """The addresses of webhooks."""
        return list(dict.fromkeys(values.listed(self.webhook_urls)))

    @property
    def event_types(self) -> frozenset[str]:
        """The events that backends are told."""
        return values.event_types(self.events)

    @property
    def events_kept_seconds(self) -> int | None:
        """For how many seconds events are kept; None for ever, 0 not at all."""
        return values.seconds_of_events(self.keep_events)

    @property
    def tells_events(self) -> bool:
        """Whether anybody is told what happens: a webhook, or whoever fetches it."""
        return bool(self.hooks) or self.events_kept_seconds != 0

    @property
    def address(self) -> str:
        """What to listen on, as sockets take it: IPv6 in its short form, without brackets."""
        return values.listening_address(self.host)

    @property
    def authority(self) -> str:
        """Where it listens as addresses have it (RFC 3986): IPv6 in brackets, and the port."""
        return f"{values.bracketed(self.address)}:{self.port}"

    @property
    def path_prefix(self) -> str:
        """The path below which the server stands, without a slash at its end; empty for none."""
        return self.prefix.rstrip("/")

    @property
    def is_locked(self) -> bool:
        """Whether nothing can be done without a token."""
        return self.mode == "locked"

    @property
    def keys_by_kid(self) -> dict[str, str]:
        """The keys of tokens by their key id, the one that signs first."""
        return values.keys_by_kid(self.token_keys)

    @property
    def hosts(self) -> list[str]:
        """The names by which the server may be called; none say that it is not checked."""
        return values.listed(self.allowed_hosts)

    @property
    def origins(self) -> str | list[str]:
        """The allowed origins: ``"*"`` or a list, as Flask-SocketIO and Flask-Cors take them."""
        return values.origins(self.allowed_origins)

    @property
    def upload_path(self) -> Path:
        """The upload folder; a relative one stands in the project's root."""
        return ROOT / self.upload_dir

    @property
    def has_shared_database(self) -> bool:
        """Whether the database is one that several processes can serve from: PostgreSQL."""
        return values.is_postgresql(self.database_url)

    @property
    def names_machines(self) -> bool:
        """Whether this process itself looks up names: of Redis, object storage, backends, issuers.

        PostgreSQL's own library does that by itself.
        """
        return bool(self.redis_url or self.upload_url or self.webhook_urls or self.token_issuers)

    @property
    def database_file(self) -> Path | None:
        """The file of an SQLite database; a relative one stands in the project's root."""
        path = values.sqlite_path(self.database_url)
        return None if path in (None, "", ":memory:") else ROOT / path

    @property
    def resolved_database_url(self) -> str:
        """The database URL as SQLAlchemy takes it.

        A relative SQLite path is made absolute from the project's root, PostgreSQL gets its driver.
        """
        if self.has_shared_database:
            return f"postgresql+psycopg2://{self.database_url.split('://', 1)[1]}"
        return values.sqlite_url(self.database_file) if self.database_file else self.database_url


def read_env_file(path: Path = ROOT / ".env") -> None:
    """Put what the file ``.env`` says, if there is one, into the environment, which wins over it.

    Raises `InvalidSetting` for one that cannot be read, or has a line that says nothing: whoever
    wrote it believes that something is set.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return
    except UnicodeDecodeError:
        raise InvalidSetting(f"{path} is not in UTF-8. Save it so, with an editor.") from None
    except OSError as error:
        raise InvalidSetting(
            f"{path} cannot be read: {error.strerror}. Let the user that runs the server read it."
        ) from None
    for line in parse_stream(io.StringIO(text)):
        if line.error:
            raise InvalidSetting(
                f"Line {line.original.line} of {path} sets nothing. Write NAME=value, with as many "
                "quotes at the end as at the beginning, or # before what is not meant."
            )
    load_dotenv(stream=io.StringIO(text))


def variable_of(name: str) -> str:
    """Return the environment variable that sets the field `name` of `Settings`."""
    return next(str(item.metadata["variable"]) for item in fields(Settings) if item.name == name)


def unknown_settings(environment: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Return the variables that look like settings and are none, each with what may be meant.

    That is what begins as they do, and what comes near to one and begins nearly so. Looks at
    `os.environ` when no environment is given.
    """
    # Compared without what all of them begin with; PRESENCE_PORT is meant for PORT.
    known = [str(item.metadata["variable"]) for item in fields(Settings)]
    by_end = {name.removeprefix(_PREFIX): name for name in known}
    unknown: dict[str, str | None] = {}
    for name, value in sorted((os.environ if environment is None else environment).items()):
        if name in known or _NOT_MEANT.fullmatch(f"{name}={value}"):
            continue
        if name.startswith(_PREFIX):
            near = difflib.get_close_matches(name.removeprefix(_PREFIX), by_end, n=1)
            unknown[name] = by_end[near[0]] if near else None
        elif _LIKE_PREFIX.match(name):
            near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=_VERY_CLOSE)
            if near:
                unknown[name] = near[0]
    return unknown


def idle_settings(settings: Settings) -> list[str]:
    """Return a sentence for every setting that can do nothing beside the others."""
    found = []
    for needed, names in (
        ("upload_url", ("s3_endpoint",)),
        ("turn_urls", ("turn_secret",)),
        ("webhook_urls", ("webhook_secrets",)),
    ):
        found += [
            f"{variable_of(name)} changes nothing without {variable_of(needed)}"
            for name in names
            if getattr(settings, name) and not getattr(settings, needed)
        ]
    if settings.token_issuers and not settings.is_locked:
        found.append("PRESENCE_TOKEN_ISSUERS changes nothing without PRESENCE_MODE=locked")
    found += [
        f"{variable_of(name)} is more than a message may have; PRESENCE_MAX_MESSAGE_BYTES counts"
        for name in ("max_signal_bytes", "max_user_data_bytes")
        if getattr(settings, name) > settings.max_message_bytes
    ]
    return found


@contextmanager
def _naming(variable: str) -> Generator[None]:
    """Say of a refused value which setting has it: raises `InvalidSetting`."""
    try:
        yield
    except ValueError as error:
        raise InvalidSetting(f"{variable} {error}") from None
