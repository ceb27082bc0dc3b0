"""Looks of the doctor at what stands around the server: settings, user, address, Redis, limits."""

from __future__ import annotations

import json
import os
import stat
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from presence.config import ROOT, Settings, idle_settings, unknown_settings
from presence.transport.commands import listening
from presence.transport.commands.findings import Finding, fault, looked, warning, well
from presence.transport.engine.file_descriptors import places_for
from presence.transport.trust import providers
from presence.transport.trust.fetching import CannotFetch, Fetch
from presence.transport.wire.wording import plural

_HERE = ("127.0.0.1", "localhost", "::1")
# A clock that says less than this was never set: the year in which this was written.
_EARLIEST = 1_767_225_600
_SECONDS = 2.0
# By so many seconds a token may be of the future.
_MOST_APART = 10.0


def look(settings: Settings) -> Iterator[Finding]:
    """Yield what is found."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _settings,
        _mode,
        _user,
        _address,
        _proxies,
        _open_files,
        _redis,
        _issuers,
        _clock,
    )
    for check in checks:
        yield from looked(check.__name__.strip("_").replace("_", " "), check(settings))


def is_readable_by_others(path: Path) -> bool:
    """Tell whether others than its owner and group may read a file."""
    return bool(path.stat().st_mode & stat.S_IROTH)


def _settings(settings: Settings) -> Iterator[Finding]:
    odd = [
        f"{name} is no setting of this server" + (f"; is {meant} meant?" if meant else ".")
        for name, meant in unknown_settings().items()
    ]
    odd += [f"{idle}." for idle in idle_settings(settings)]
    for sentence in odd:
        yield warning("settings", sentence)
    if not odd:
        yield well("settings", "every one has a value that it can have")
    file = ROOT / ".env"
    if file.is_file() and is_readable_by_others(file):
        yield warning(
            "settings", f"{file} may be read by everybody on this machine: chmod 600 {file}"
        )


def _mode(settings: Settings) -> Iterator[Finding]:
    if settings.is_locked:
        yield well("mode", "locked: nothing is done without a signed token")
    elif settings.address in _HERE:
        yield well("mode", "open, and only this machine can reach it")
    else:
        yield warning(
            "mode",
            f"open, and listens on {settings.address}: whoever reaches it may do anything. Set "
            "PRESENCE_MODE=locked.",
        )


def _user(_settings: Settings) -> Iterator[Finding]:
    if os.geteuid() == 0:
        yield warning("user", "this is root; give the server a user of its own")
    else:
        yield well("user", f"user {os.geteuid()}, who is not root")


def _address(settings: Settings) -> Iterator[Finding]:
    try:
        listening.check(settings.address, settings.port, patience=0)
    except listening.CannotListen as error:
        version = _version_served(settings)
        if version is None:
            yield fault("address", str(error))
        else:
            yield well("address", f"Presence {version} serves on {settings.authority} now")
    else:
        yield well("address", f"{settings.authority} is free to listen on")


def _version_served(settings: Settings) -> str | None:
    """Return which Presence answers at the server's own address, if one does."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.address)  # noqa: S104
    place = f"{host}:{settings.port}" if host else settings.authority
    try:
        url = f"http://{place}/healthz"
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            body = json.loads(answer.read(10_000))
        return str(body["version"]) if body["status"] == "alive" else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _proxies(settings: Settings) -> Iterator[Finding]:
    far = [host for host in settings.hosts if host.partition(":")[0] not in _HERE]
    if settings.trusted_proxies and settings.address not in _HERE:
        yield warning(
            "proxies",
            f"{settings.trusted_proxies} trusted, and it listens on {settings.address}: whoever "
            "gets past them can say any address is theirs. Let only them reach the port.",
        )
    elif far and settings.address in _HERE and not settings.trusted_proxies:
        yield warning(
            "proxies",
            f"none trusted, but it is called {far[0]} and listens on {settings.address}, so a "
            "proxy must stand before it: all clients then count as one. Set "
            "PRESENCE_TRUSTED_PROXIES=1.",
        )
    else:
        yield well("proxies", f"{settings.trusted_proxies} trusted")


def _open_files(settings: Settings) -> Iterator[Finding]:
    import resource  # noqa: PLC0415  (there is none on Windows)

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = places_for(settings.max_connections)
    if hard != resource.RLIM_INFINITY and hard < settings.max_connections + 100:
        yield fault(
            "open files",
            f"at most {hard}, which is too few for PRESENCE_MAX_CONNECTIONS="
            f"{settings.max_connections}. Raise it (ulimit -n, LimitNOFILE=), or lower that.",
        )
    elif hard != resource.RLIM_INFINITY and hard < wanted:
        yield warning(
            "open files",
            f"at most {hard}; polling clients need two each, {wanted} in all. Raise it (ulimit "
            "-n, LimitNOFILE=).",
        )
    else:
        yield well("open files", "as many as its connections need")


def _redis(settings: Settings) -> Iterator[Finding]:
    if not settings.redis_url:
        yield well("redis", "not used (REDIS_URL is not set)")
        return
    import redis  # noqa: PLC0415  (few need it)

    try:
        client = redis.Redis.from_url(
            settings.redis_url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS
        )
        seconds, _ = client.time()
    except (redis.RedisError, OSError, ValueError) as error:
        yield fault("redis", f"cannot be used: {error}. Start it, or correct REDIS_URL.")
        return
    yield well("redis", "answers")
    yield from clock_beside("Redis", seconds)


def _issuers(settings: Settings) -> Iterator[Finding]:
    try:
        described = providers.described(settings)
    except providers.CannotTrust as error:
        yield fault("issuers", str(error))
        return
    if not described:
        yield well("issuers", "only tokens of this server's own keys (PRESENCE_TOKEN_ISSUERS)")
    for name, rules in described.items():
        try:
            if rules.keys_url is None:
                keys = providers.keys_of_file(settings, name, rules)
            else:
                keys = Fetch(rules.keys_url).keys()
        except providers.CannotTrust as error:
            yield fault("issuers", str(error))
            continue
        except CannotFetch as error:
            yield fault("issuers", f"{name}: no keys from {rules.keys_url}: {error}.")
            continue
        if not keys:
            yield fault("issuers", f"{name}: there is no key that can be used.")
        elif not rules.audience:
            yield warning(
                "issuers",
                f"{name} has no audience: its tokens for any other program are good here as well.",
            )
        else:
            how = ", ".join(sorted({key.algorithm for key in keys}))
            yield well("issuers", f"{name} has {plural(len(keys), 'key', 'keys')} ({how})")


def _clock(_settings: Settings) -> Iterator[Finding]:
    now = time.time()
    newest = max((path.stat().st_mtime for path in _written(_settings)), default=0)
    if now < _EARLIEST:
        yield fault("clock", f"says {time.ctime(now)}, which is long ago: set it (NTP)")
    elif newest > now + 60:
        yield fault(
            "clock",
            f"says {time.ctime(now)}, but files here were written later: set it (NTP), or tokens "
            "and times will be wrong",
        )
    else:
        yield well("clock", f"says {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now))}")


def clock_beside(what: str, there: float) -> Iterator[Finding]:
    """Yield a finding where the clock of another machine differs from this one's."""
    apart = abs(time.time() - there)
    if apart > _MOST_APART:
        yield fault("clock", f"{apart:.0f} s from that of {what}: set both (NTP)")


def _written(settings: Settings) -> Iterator[Path]:
    """Yield files that the server writes all the time."""
    file = settings.database_file
    if file is not None:
        yield from (path for path in (file, file.with_name(f"{file.name}-wal")) if path.exists())
