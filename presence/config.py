"""Every setting of the server, read once from the environment.

Imports nothing of the server and no framework: ``gunicorn.conf.py`` reads it before the worker
has patched the standard library.
"""

from __future__ import annotations

import base64
import difflib
import ipaddress
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parent.parent
# The one version: of the server, of the descriptions of its API, and of the clients it hands out.
# CHANGELOG.md has a section for each that was released; `script/release` makes its files.
VERSION = "0.1.0"

FOREVER, OFF = "forever", "off"
SECONDS_A_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}

# What backends can be told of.
EVENT_TYPES = (
    *("room_made", "room_emptied", "room_removed", "peer_joined", "peer_left", "peer_updated"),
    *("file_uploaded", "file_deleted", "peer_wanted", "broadcast_sent"),
)

# The first is what some hosters write; the driver is always the same.
_POSTGRESQL = ("postgres://", "postgresql://", "postgresql+psycopg2://")

_PREFIX = "PRESENCE_"
# What begins so and is none of the server's business: how much the tests do, and what Kubernetes
# tells every container of a service that is called presence.
_NOT_MEANT = re.compile(
    r"PRESENCE_(TEST_\w+|(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP)(_\w+)?))=.*"
    r"|PRESENCE_(\w+_)?PORT=(tcp|udp)://.*"
)

# What the server's own paths begin with.
OWN_PATHS = frozenset(
    (
        *("api", "clients", "docs", "doctor", "fragments", "healthz", "metrics", "readyz", "rooms"),
        *("socket.io", "static", "uploads"),
    )
)
_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]{1,64}){1,8}")

# A name of a machine, or an IPv4 address.
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})")

# Numbers beyond these are mistakes, and some part or other would fail of them later: columns of 32
# bits, timers of the system, which count milliseconds in as many. Sizes go as far as a disk might.
_MOST = 2**31 - 1
_MOST_SECONDS = 2_000_000
_MOST_BYTES = 2**62

# What HMAC-SHA256 asks of a key (RFC 7518, section 3.2).
_MIN_KEY_BYTES = 32


# A name of a machine, or an address: IPv4, or IPv6 (in brackets where a port may follow).
_NAME_OR_ADDRESS = r"([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?"


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
) -> Any:
    """Declare a field of `Settings`: its environment variable, default and one-line meaning.

    A number is from `least` to `most`, or more than `above`; a secret is left out where the
    settings are printed.
    """
    if most is None:
        most = _MOST_SECONDS if isinstance(default, float) else _MOST
        most = _MOST_BYTES if "_BYTES" in variable else most
    metadata = {
        "variable": variable,
        "description": description,
        "least": least,
        "above": above,
        "most": most,
    }
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """The settings of one server process. Sizes are in bytes, durations in seconds."""

    host: str = _setting(
        "HOST", "127.0.0.1", "address to listen on; 0.0.0.0 for every interface, :: for IPv6 too"
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
    )
    redis_prefix: str = _setting(
        "PRESENCE_REDIS_PREFIX", "presence:", "what the names of this server in Redis begin with"
    )
    redis_url: str = _setting(
        "REDIS_URL", "", "Redis that several processes share, such as redis://host:6379/0"
    )
    upload_dir: str = _setting("UPLOAD_DIR", "uploads", "folder that holds uploaded files")
    upload_url: str = _setting(
        "UPLOAD_URL",
        "",
        "bucket that holds them instead, s3://bucket/prefix; they still come in through UPLOAD_DIR",
    )
    s3_endpoint: str = _setting(
        "PRESENCE_S3_ENDPOINT", "", "address of the bucket's server, where it is not Amazon's"
    )
    mode: str = _setting(
        "PRESENCE_MODE", "open", "open: anyone may do anything; locked: what a signed token allows"
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
    )
    allowed_hosts: str = _setting(
        "PRESENCE_ALLOWED_HOSTS",
        "",
        "names by which the server is called, by commas; .example.org for all below it",
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
        "PRESENCE_MAX_BYTES_PER_ROOM", 1024 * _MIB, "bytes of a room's files; 0 for any number"
    )
    max_bytes_total: int = _setting(
        "PRESENCE_MAX_BYTES_TOTAL", 10 * 1024 * _MIB, "bytes of all files; 0 for any number"
    )
    min_free_disk_bytes: int = _setting(
        "PRESENCE_MIN_FREE_DISK_BYTES",
        256 * _MIB,
        "bytes that uploads and an SQLite database leave free on their disk",
    )
    max_rooms: int = _setting("PRESENCE_MAX_ROOMS", 10_000, "rooms there may be; 0 for any number")
    max_rooms_each: int = _setting(
        "PRESENCE_MAX_ROOMS_EACH",
        1_000,
        "rooms that one peer whose token is for a pattern, or one address of an open server, may "
        "have made; 0 for any number",
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
    )
    keep_empty_rooms: str = _setting(
        "PRESENCE_KEEP_EMPTY_ROOMS", FOREVER, "how long rooms are kept without any peer"
    )
    keep_files: str = _setting(
        "PRESENCE_KEEP_FILES", FOREVER, "how long files are kept after their upload"
    )
    keep_activity: str = _setting(
        "PRESENCE_KEEP_ACTIVITY", FOREVER, "how long it is kept what happened in a room"
    )
    max_user_data_bytes: int = _setting(
        "PRESENCE_MAX_USER_DATA_BYTES",
        16 * 1024,
        "largest user_data of a peer, as compact JSON",
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
        "PRESENCE_STUN_URLS", "", "STUN servers for clients, such as stun:host:3478, by commas"
    )
    turn_urls: str = _setting(
        "PRESENCE_TURN_URLS", "", "TURN servers for clients, such as turn:host:3478, by commas"
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
    )
    webhook_secrets: str = _setting(
        "PRESENCE_WEBHOOK_SECRETS",
        "",
        "secrets that sign what they are told (whsec_…), by commas: all of them sign",
        secret=True,
    )
    events: str = _setting(
        "PRESENCE_EVENTS",
        "usual",
        "which events backends are told: usual (all but broadcast_sent), all, or names by commas",
    )
    event_rooms: str = _setting(
        "PRESENCE_EVENT_ROOMS",
        "*",
        "the rooms of which they are told: names and patterns such as team-*, by commas",
    )
    keep_events: str = _setting(
        "PRESENCE_KEEP_EVENTS",
        OFF,
        "how long events are kept for backends to fetch, such as 7d; off to keep none",
    )
    metrics_token: str = _setting(
        "PRESENCE_METRICS_TOKEN",
        "",
        "what /metrics asks for as “Authorization: Bearer …”",
        secret=True,
    )
    log_format: str = _setting(
        "PRESENCE_LOG_FORMAT", "text", "text or json: one line a record either way"
    )
    log_level: str = _setting("PRESENCE_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR")

    def __post_init__(self) -> None:
        """Refuse values that would only fail later, far from their cause."""
        for item in fields(self):
            _check_range(item.metadata, getattr(self, item.name))
        self._check_prefix()
        self._check_texts()
        self._check_host()
        self._check_places()
        self._check_origins()
        self._check_hosts()
        self._check_durations()
        self._check_ice()
        self._check_access()
        self._check_log()
        self._check_events()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from environment variables (`os.environ` when none are given).

        An empty variable counts as unset. Raises `InvalidSetting` for a value of the wrong kind.
        """
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for setting in fields(cls):
            text = environment.get(setting.metadata["variable"], "").strip()
            if text:
                values[setting.name] = _parse(setting.metadata["variable"], setting.default, text)
        return cls(**values)

    def _check_host(self) -> None:
        """Refuse what is no address or name alone, such as one with its port or scheme."""
        try:
            _ = self.address
        except ValueError:
            raise InvalidSetting(
                f"HOST must be one address or name to listen on, such as 127.0.0.1, ::1, 0.0.0.0 "
                f"or ::, not {self.host!r}. The port is PORT; a zone (%eth0) cannot be used."
            ) from None

    def _check_prefix(self) -> None:
        """Refuse what is no path, or could be taken for one of the server's own."""
        if not self.path_prefix:
            return
        if not is_prefix(self.path_prefix):
            raise InvalidSetting(
                f"PRESENCE_PREFIX must be a path such as /presence, of letters, digits, hyphens, "
                f"dots and underscores, not {self.prefix!r}."
            )
        first = self.path_prefix.split("/")[1]
        if first in OWN_PATHS:
            raise InvalidSetting(
                f"PRESENCE_PREFIX must not begin with /{first}, which is a path of the server "
                "itself. Choose another, such as /presence."
            )

    def _check_places(self) -> None:
        """Refuse addresses of storage that no engine here understands."""
        self._check_database_url()
        if self.redis_url and not _is_url(self.redis_url, ("redis", "rediss", "unix")):
            raise InvalidSetting(
                "REDIS_URL must begin with redis:// (rediss:// for TLS, unix:// for a socket), "
                "and have a host, such as redis://localhost:6379/0."
            )
        if not re.fullmatch(r"(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?)?", self.upload_url):
            raise InvalidSetting(
                "UPLOAD_URL must be empty or like s3://bucket/prefix; a bucket's name has 3 to 63 "
                "lower-case letters, digits, hyphens and dots."
            )
        if self.s3_endpoint and not _is_url(self.s3_endpoint, ("http", "https")):
            raise InvalidSetting(
                "PRESENCE_S3_ENDPOINT must begin with http:// or https:// and have a host, such as "
                "https://s3.example.org."
            )
        if not re.fullmatch(r"[a-z0-9-]{0,16}", self.worker_name):
            raise InvalidSetting(
                "PRESENCE_WORKER_NAME must be up to 16 lower-case letters, digits and hyphens."
            )
        if not re.fullmatch(r"[\w.:/{}-]{1,64}", self.redis_prefix):
            raise InvalidSetting(
                "PRESENCE_REDIS_PREFIX must be 1 to 64 letters, digits and the characters "
                "_ . : / { } -"
            )

    def _check_database_url(self) -> None:
        if self.database_url.startswith("sqlite:///"):
            if not self.database_url.removeprefix("sqlite:///") or "?" in self.database_url:
                raise InvalidSetting(
                    "DATABASE_URL must name a file after sqlite:/// and nothing else, such as "
                    "sqlite:///instance/presence.db."
                )
        elif not self.has_shared_database:
            # psycopg 3, for one, would stop every greenlet while it waits.
            raise InvalidSetting(
                "DATABASE_URL must begin with sqlite:/// or postgresql:// (with psycopg2, which "
                "need not be named)."
            )
        elif not _is_url(self.database_url, needs_host=False):
            # Not the address itself, which has the password in it.
            raise InvalidSetting(
                "DATABASE_URL must be like postgresql://user:password@host:5432/name. In user and "
                "password write @ as %40, : as %3A, / as %2F, # as %23 and % as %25."
            )

    def _check_origins(self) -> None:
        """Refuse what no browser sends as an origin, and so would let no page in."""
        for origin in self.origins if self.origins != "*" else ():
            if origin != "null" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s@]+", origin):
                raise InvalidSetting(
                    f"PRESENCE_ALLOWED_ORIGINS: {origin!r} is no origin. Write it with its scheme, "
                    "and without a path: https://app.example.org."
                )

    def _check_hosts(self) -> None:
        """Refuse what nobody's ``Host`` can be."""
        for host in self.hosts:
            name = host.removeprefix(".")
            if host != "*" and not re.fullmatch(_NAME_OR_ADDRESS, name) and not _is_ipv6(host):
                raise InvalidSetting(
                    f"PRESENCE_ALLOWED_HOSTS: {host!r} is no name of a server. Write it without "
                    "scheme and path: presence.example.org."
                )

    def _check_durations(self) -> None:
        for name in ("keep_inactive_peers", "keep_empty_rooms", "keep_files", "keep_activity"):
            try:
                seconds_of(getattr(self, name))
            except ValueError as error:
                raise InvalidSetting(f"{variable_of(name)} {error}") from None

    def _check_ice(self) -> None:
        """Refuse addresses that every browser would refuse, and TURN servers without a secret."""
        for name, schemes in (
            ("stun_urls", ("stun:", "stuns:")),
            ("turn_urls", ("turn:", "turns:")),
        ):
            for url in urls(getattr(self, name)):
                if not re.fullmatch(rf"({'|'.join(schemes)})[^\s/@]+", url):
                    raise InvalidSetting(
                        f"{variable_of(name)}: {url!r} must begin with {' or '.join(schemes)} and "
                        f"go on with a host, such as {schemes[0]}turn.example.org:3478."
                    )
        if urls(self.turn_urls) and not self.turn_secret:
            raise InvalidSetting(
                "PRESENCE_TURN_SECRET must be set with PRESENCE_TURN_URLS: the same value as "
                "static-auth-secret of the TURN server."
            )

    def _check_texts(self) -> None:
        """Refuse what cannot be in an address, a path or a header."""
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, str) and not value.isprintable():
                raise InvalidSetting(
                    f"{item.metadata['variable']} must have no line breaks or other characters "
                    "that cannot be printed."
                )
        if not re.fullmatch(r"[!-~]*", self.metrics_token):
            raise InvalidSetting(
                "PRESENCE_METRICS_TOKEN must be ASCII without spaces, as it is sent in a header."
            )

    def _check_log(self) -> None:
        for name, fitting in (
            ("log_format", ("text", "json")),
            ("log_level", ("DEBUG", "INFO", "WARNING", "ERROR")),
        ):
            if getattr(self, name).lower() not in map(str.lower, fitting):
                raise InvalidSetting(f"{variable_of(name)} must be one of {', '.join(fitting)}.")

    def _check_events(self) -> None:
        """Refuse webhooks that could not be sent or signed, and events that there are not."""
        for url in self.hooks:
            if not _is_url(url, ("http", "https")):
                raise InvalidSetting(
                    "PRESENCE_WEBHOOK_URLS must be addresses that begin with https:// (or http://) "
                    "and have a host, separated by commas."
                )
        for secret in urls(self.webhook_secrets):
            text = secret.removeprefix("whsec_")
            try:
                key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
            except ValueError:
                key = b""
            if not 24 <= len(key) <= 64:
                raise InvalidSetting(
                    "PRESENCE_WEBHOOK_SECRETS must each be whsec_ and 24 to 64 bytes in base64. "
                    "One is made by: python -c 'import base64, secrets; "
                    'print("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())\''
                )
        if self.hooks and not urls(self.webhook_secrets):
            raise InvalidSetting("PRESENCE_WEBHOOK_SECRETS must be set with PRESENCE_WEBHOOK_URLS.")
        unknown = set(urls(self.events)) - {"usual", "all", *EVENT_TYPES}
        if unknown or not urls(self.events):
            raise InvalidSetting(
                f"PRESENCE_EVENTS must be usual, all, or some of {', '.join(EVENT_TYPES)}."
            )
        for pattern in urls(self.event_rooms):
            if len(pattern) > 256 or re.search(r"\\(?!\*)", pattern):
                raise InvalidSetting(
                    "PRESENCE_EVENT_ROOMS must be names of rooms and patterns of up to 256 "
                    "characters; a backslash may stand only before an asterisk."
                )
        try:
            _ = self.events_kept_seconds
        except ValueError as error:
            raise InvalidSetting(f"PRESENCE_KEEP_EVENTS {error}") from None

    def _check_access(self) -> None:
        """Refuse to be locked with what would not keep anybody out."""
        if self.mode not in {"open", "locked"}:
            raise InvalidSetting("PRESENCE_MODE must be open or locked.")
        keys = self.keys_by_kid
        if not self.is_locked:
            return
        for name, key in {"SECRET_KEY": self.secret_key, **keys}.items():
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
        return list(dict.fromkeys(urls(self.webhook_urls)))

    @property
    def event_types(self) -> frozenset[str]:
        """The events that backends are told."""
        named = urls(self.events)
        usual = [name for name in EVENT_TYPES if name != "broadcast_sent"]
        spelled = {"usual": usual, "all": list(EVENT_TYPES)}
        return frozenset(name for item in named for name in spelled.get(item, [item]))

    @property
    def events_kept_seconds(self) -> int | None:
        """For how many seconds events are kept; None for ever, 0 not at all.

        Raises `ValueError` with the end of a sentence.
        """
        return 0 if self.keep_events.strip().lower() == OFF else seconds_of(self.keep_events)

    @property
    def tells_events(self) -> bool:
        """Whether anybody is told what happens: a webhook, or whoever fetches it."""
        return bool(self.hooks) or self.events_kept_seconds != 0

    @property
    def address(self) -> str:
        """What to listen on, as sockets take it: IPv6 in its short form, without brackets.

        Raises `ValueError` for a ``HOST`` that is neither an address nor a name.
        """
        host = self.host
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" not in host:
            if not _NAME.fullmatch(host):
                raise ValueError
            return host
        if "%" in host:
            raise ValueError
        return str(ipaddress.IPv6Address(host))

    @property
    def authority(self) -> str:
        """Where it listens as addresses have it (RFC 3986): IPv6 in brackets, and the port."""
        return f"{bracketed(self.address)}:{self.port}"

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
        """The keys of tokens by their key id, the one that signs first; raises `InvalidSetting`."""
        keys: dict[str, str] = {}
        for item in urls(self.token_keys):
            kid, colon, key = item.partition(":")
            if not colon or not re.fullmatch(r"[\w.-]{1,64}", kid) or kid in keys:
                raise InvalidSetting(
                    "PRESENCE_TOKEN_KEYS must be pairs such as 2026-05:<secret>, separated by "
                    "commas, each name of letters and digits and given once."
                )
            keys[kid] = key
        return keys

    @property
    def hosts(self) -> list[str]:
        """The names by which the server may be called; none say that it is not checked."""
        return urls(self.allowed_hosts)

    @property
    def origins(self) -> str | list[str]:
        """The allowed origins: ``"*"`` or a list, as Flask-SocketIO and Flask-Cors take them."""
        # Browsers send an origin without the slash with which people copy it.
        origins = [part.rstrip("/").lower() for part in urls(self.allowed_origins)]
        return "*" if "*" in origins else origins

    @property
    def upload_path(self) -> Path:
        """The upload folder; a relative one stands in the project's root."""
        return ROOT / self.upload_dir

    @property
    def has_shared_database(self) -> bool:
        """Whether the database is one that several processes can serve from: PostgreSQL."""
        return self.database_url.startswith(_POSTGRESQL)

    @property
    def names_machines(self) -> bool:
        """Whether this process itself looks up names: of Redis, object storage or webhooks.

        PostgreSQL's own library does that by itself.
        """
        return bool(self.redis_url or self.upload_url or self.webhook_urls)

    @property
    def resolved_database_url(self) -> str:
        """The database URL as SQLAlchemy takes it.

        A relative SQLite path is made absolute from the project's root, PostgreSQL gets its driver.
        """
        if self.has_shared_database:
            return f"postgresql+psycopg2://{self.database_url.split('://', 1)[1]}"
        prefix = "sqlite:///"
        path = self.database_url.removeprefix(prefix)
        if not self.database_url.startswith(prefix) or path in ("", ":memory:"):
            return self.database_url
        return prefix + str(ROOT / path)


def is_prefix(path: str) -> bool:
    """Tell whether a server may stand below a path: ``/a/b``, and nothing that leads elsewhere."""
    return _PATH.fullmatch(path) is not None


def _is_ipv6(host: str) -> bool:
    """Tell whether this is an IPv6 address by itself, without brackets."""
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return "%" not in host


def bracketed(host: str) -> str:
    """Return a name or address as it stands in a URL: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def urls(setting: str) -> list[str]:
    """Return the addresses in a setting that separates them by commas."""
    return [part.strip() for part in setting.split(",") if part.strip()]


def seconds_of(duration: str) -> int | None:
    """Return a duration such as ``30d`` in seconds, or None for ``forever``.

    Raises `ValueError` with the end of a sentence.
    """
    if duration.strip().lower() == FOREVER:
        return None
    found = re.fullmatch(r"(\d{1,9})([smhdw])", duration.strip())
    if found is None or not int(found[1]):
        raise ValueError(
            "must be a number followed by s, m, h, d or w (such as 12h or 30d), or “forever”."
        )
    return int(found[1]) * SECONDS_A_UNIT[found[2]]


def variable_of(name: str) -> str:
    """Return the environment variable that sets the field `name` of `Settings`."""
    return next(str(item.metadata["variable"]) for item in fields(Settings) if item.name == name)


def unknown_settings(environment: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Return the variables that look like settings and are none, each with what may be meant.

    Looks at `os.environ` when no environment is given.
    """
    # Compared without what all of them begin with; PRESENCE_PORT is meant for PORT.
    known = [str(item.metadata["variable"]) for item in fields(Settings)]
    by_end = {name.removeprefix(_PREFIX): name for name in known}
    unknown = {}
    for name, value in sorted((os.environ if environment is None else environment).items()):
        if not name.startswith(_PREFIX) or name in known:
            continue
        if not _NOT_MEANT.fullmatch(f"{name}={value}"):
            near = difflib.get_close_matches(name.removeprefix(_PREFIX), by_end, n=1)
            unknown[name] = by_end[near[0]] if near else None
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
    found += [
        f"{variable_of(name)} is more than a message may have; PRESENCE_MAX_MESSAGE_BYTES counts"
        for name in ("max_signal_bytes", "max_user_data_bytes")
        if getattr(settings, name) > settings.max_message_bytes
    ]
    return found


def _check_range(declared: Mapping[str, Any], value: Any) -> None:
    """Raise `InvalidSetting` for a number that is too small or too large."""
    if isinstance(value, (str, bool)):
        return
    variable, least, above, most = (declared[key] for key in ("variable", "least", "above", "most"))
    if above is not None and value <= above:
        raise InvalidSetting(f"{variable} must be more than {above:g}, not {value:g}.")
    if above is None and value < least:
        what = "0 or more" if least == 0 else f"at least {least:g}"
        raise InvalidSetting(f"{variable} must be {what}, and is {value}.")
    if value > most:
        raise InvalidSetting(f"{variable} must be at most {most}, and is more.")


def _is_url(text: str, schemes: tuple[str, ...] = (), *, needs_host: bool = True) -> bool:
    """Tell whether a text is an address with a scheme of these, and with a host or a path."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return False
    if re.search(r"\s", text) or parts.fragment or (schemes and parts.scheme not in schemes):
        return False
    return bool(parts.path if parts.scheme == "unix" else parts.hostname) or not needs_host


def _parse(variable: str, default: Any, text: str) -> Any:
    """Turn `text` into the type of `default`; raises `InvalidSetting`."""
    if isinstance(default, bool):
        if text.lower() in {"1", "true", "yes", "on"}:
            return True
        if text.lower() in {"0", "false", "no", "off"}:
            return False
        raise InvalidSetting(f"{variable} must be true or false, not {text!r}.")
    try:
        value = type(default)(text)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError
        return value
    except ValueError:
        kind = {int: "a whole number", float: "a number"}[type(default)]
        raise InvalidSetting(f"{variable} must be {kind}, not {text!r}.") from None
