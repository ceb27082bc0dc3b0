"""What stands before serving: the database claimed and up to date, files in order, and a warning.

Each function adds one step; `app.PARTS` has them in their order. What cannot be put right stops the
start, with a sentence that says what to do.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from sqlalchemy.exc import DBAPIError

from presence.config import Settings, idle_settings, unknown_settings
from presence.domain.files import files
from presence.domain.peers import workers
from presence.storage import database, schema
from presence.storage.blobs import ObjectStoreError
from presence.transport.engine.file_descriptors import make_room_for, places_for
from presence.transport.process.runtime import Runtime
from presence.transport.trust import providers
from presence.transport.trust.key_addresses import KeyAddress
from presence.transport.wire.wording import plural, why_not

log = logging.getLogger(__name__)

OPEN_MODE = (
    "open mode: whoever can reach this server may join any room as anyone, read every room, and "
    "erase peers and files. PRESENCE_MODE=locked asks for signed tokens instead."
)

ROOT = (
    "started as root, of which it needs nothing: whoever finds a hole has the whole machine. Give "
    "the server a user of its own."
)


def keep_to_owner() -> None:
    """Let the files that this process makes be its owner's alone: database, log, uploads."""
    os.umask(0o077)


def claim_storage(run: Runtime) -> None:
    """Claim the database first of all, and bring its tables up to date."""
    held: list[ExitStack] = []

    def claim() -> None:
        with ExitStack() as claimed:
            with _explained(run.settings):
                lock = database.claim()
                if lock is not None:
                    claimed.enter_context(lock)
                # Also refuses tables of a newer version.
                schema.upgrade()
            _try_uploads(run)
            # Held for as long as the process runs; if it cannot serve, another one may try.
            held.append(claimed.pop_all())

    run.at_start(claim)


def trust_issuers(run: Runtime) -> None:
    """Read at the start whose tokens are taken, and look after their keys from then on."""
    if not (run.access.is_locked and run.settings.token_issuers):
        return

    def begin() -> None:
        try:
            run.access.providers = providers.all_of(run.settings, run.sockets.start_background_task)
        except providers.CannotTrust as error:
            raise database.CannotServe(str(error)) from None
        look()

    def look() -> None:
        for provider in run.access.providers:
            if isinstance(provider, KeyAddress):
                provider.look()

    run.at_start(begin)
    run.upkeep.every(0, look, "looking after the keys of issuers failed")


def heed_revocations(run: Runtime) -> None:
    """Know which tokens were taken back: at the start, and from then on within a second or so."""
    if run.access.is_locked:
        run.at_start(run.access.revoked.look)
        run.upkeep.every(0, run.access.revoked.look, "looking for revoked tokens failed")


def look_after_lobbies(run: Runtime) -> None:
    """Know who waits in front of rooms, and who does no more, within a second or so."""
    if run.access.is_locked:
        run.upkeep.every(0, run.lobby.look, "looking who waits in front of rooms failed")


def recover_files(run: Runtime) -> None:
    """Put in order what a crash left of files on their way in or out."""

    def recover() -> None:
        with database.reading() as session:
            living = workers.living(session)
            run.blobs.recover(
                is_dead=lambda worker_id: worker_id not in living,
                known=lambda names: files.known(session, set(names)),
            )

    run.at_start(recover)


def _try_uploads(run: Runtime) -> None:
    """Try whether files can be received; raises `CannotServe` where a setting keeps them out."""
    settings = run.settings
    try:
        run.blobs.try_writing()
    except OSError as error:
        where = settings.upload_url or settings.upload_path
        if not isinstance(error, ObjectStoreError):
            raise database.CannotServe(
                f"The upload folder {settings.upload_path} cannot be written to: {error.strerror}. "
                "Let the user that runs the server write to it, or name another one: UPLOAD_DIR=…"
            ) from None
        if error.is_lasting:
            raise database.CannotServe(
                f"The bucket {where} of UPLOAD_URL cannot be used: {error.reason}. Look at its "
                "name, at PRESENCE_S3_ENDPOINT, and at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
                "and AWS_DEFAULT_REGION."
            ) from None
        log.warning(
            "the bucket %s of UPLOAD_URL cannot be reached (%s); until it can, uploads are refused",
            where,
            error.reason,
        )


@contextmanager
def _explained(settings: Settings) -> Generator[None]:
    """Let what a database says of itself be a `CannotServe` with what to do."""
    try:
        yield
    except (DBAPIError, OSError) as error:
        raise database.CannotServe(why_not(error, settings.database_url)) from None
    except database.DatabaseBusy:
        locked = OSError("it is locked by another program")
        raise database.CannotServe(why_not(locked, settings.database_url)) from None


def warn(run: Runtime) -> None:
    """Say what an operator should know of the settings."""

    def say() -> None:
        for name, meant in unknown_settings().items():
            hint = f"; is {meant} meant?" if meant else ""
            log.warning("%s is no setting of this server and changes nothing%s", name, hint)
        for idle in idle_settings(run.settings):
            log.warning("%s", idle)
        room = make_room_for(places_for(run.settings.max_connections))
        if room < run.settings.max_connections:
            log.warning(
                "the limit of open files leaves room for %s, not for PRESENCE_MAX_CONNECTIONS=%d; "
                "raise it (ulimit -n, LimitNOFILE=)",
                plural(room, "connection", "connections"),
                run.settings.max_connections,
            )
        if not run.access.is_locked:
            log.warning("%s", OPEN_MODE)
        if os.geteuid() == 0:
            log.warning("%s", ROOT)

    run.at_start(say)


def hear_others(run: Runtime) -> None:
    """Begin to hear the other workers, or say that there is no way to."""

    def begin() -> None:
        with database.reading() as session:
            others = len(workers.living(session)) - 1
        if run.cluster is not None:
            run.cluster.start()
            if others > 0 and not run.settings.worker_name:
                log.warning(
                    "%s this database, and PRESENCE_WORKER_NAME is not set: no proxy can tell "
                    "whose a request is, so clients that do not begin with WebSocket get lost",
                    plural(others, "other process serves", "other processes serve"),
                )
            return
        if others > 0:
            log.warning(
                "%s this database, and REDIS_URL is not set: peers on "
                "different ones cannot signal each other, and lists are up to 3 s late",
                plural(others, "other process serves", "other processes serve"),
            )

    run.at_start(begin)
