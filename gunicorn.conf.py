"""Settings of gunicorn, read by plain ``gunicorn`` in this folder and by ``script/server``."""

import gc
import logging
import os
import re
import signal
import sys
import warnings

from gunicorn import glogging

from presence import logs
from presence.config import InvalidSetting, Settings, read_env_file
from presence.transport.commands import listening
from presence.transport.engine.file_descriptors import make_room_for, places_for

# What is loaded stays, so looking through it again and again while it is loaded finds nothing: that
# was a seventh of a worker's start. `post_worker_init` switches it on again.
gc.disable()

try:
    read_env_file()
    settings = Settings.from_environment()
except InvalidSetting as error:
    sys.exit(str(error))

# eventlet looks names up without holding everybody up, by a library that takes an eighth of the
# start to load. Where no setting names another machine, there is none to look up.
if not settings.names_machines:
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")

wsgi_app = "app:create_app()"
bind = settings.authority
worker_class = "presence.transport.serving.gunicorn_worker.Worker"
# Several processes need sticky sessions and a message queue; one takes thousands of connections.
workers = 1
# Without file descriptors for as many, further ones wait until there are.
worker_connections = make_room_for(places_for(settings.max_connections))
# The control socket's thread clashes with the patched standard library (on Python 3.13 the master
# dies of it and leaves its worker behind).
control_socket_disable = True
# Who the client is, behind how many proxies, is for the app to find out (PRESENCE_TRUSTED_PROXIES).
# By itself gunicorn lets anybody on this machine set the scheme and even the script's name.
forwarded_allow_ips = ""
forwarder_headers = ""
# What a worker waits for at the end is requests, and on threads readers of closed connections.
graceful_timeout = 3
keepalive = 30
loglevel = settings.log_level.lower()
# Off, unless --access-logfile says where to; without queries, which may hold tokens.
access_log_format = '%(h)s "%(m)s %(U)s %(H)s" %(s)s %(B)s bytes in %(D)s us'

# eventlet and its worker say at every start that they are being retired; requirements.txt pins
# the versions that have them, and the server runs on threads as well.
warnings.filterwarnings("ignore", message="(?is).*eventlet")


# The exit status at which gunicorn does not start the worker again.
CANNOT_BOOT = 3


class _WithoutRetirementNotice(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "eventlet worker is DEPRECATED" not in str(record.msg)


class _WithoutRepetition(logging.Filter):
    """Leaves out what gunicorn says when a worker has said already why it cannot start."""

    _SAYS_NO_MORE = re.compile(
        rf"Worker \(pid:\d+\) exited with code {CANNOT_BOOT}\.|Shutting down: Master"
        r"|Reason: Worker failed to boot\."
    )

    def filter(self, record: logging.LogRecord) -> bool:
        is_error = record.levelno == logging.ERROR
        return not (is_error and self._SAYS_NO_MORE.fullmatch(record.getMessage()))


class logger_class(glogging.Logger):  # noqa: N801 – the setting's name
    """gunicorn's logger, whose records look like all others."""

    def setup(self, cfg):
        super().setup(cfg)
        self.error_log.addFilter(_WithoutRetirementNotice())
        self.error_log.addFilter(_WithoutRepetition())
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            handler.setFormatter(logs.Formatter(settings))


def on_starting(server):
    """Give the app's own log a place, and end where nothing can listen."""
    logs.set_up(settings)
    # Handed over by systemd, or by the master that this one takes over from, they are open already.
    if not {"LISTEN_FDS", "GUNICORN_FD"} & os.environ.keys() and not server.cfg.reuse_port:
        for address in server.cfg.address:
            if isinstance(address, tuple):
                _check_address(server, *address)
    # Files that a worker makes are its owner's alone: it begins with the umask of this process.
    os.umask(0o077)


def _check_address(server, host, port):
    """End with one sentence where nothing can listen; gunicorn itself says it for five seconds."""
    try:
        listening.check(host, port)
    except listening.CannotListen as error:
        server.log.error("%s", error)
        sys.exit(1)


def post_worker_init(worker):
    """Start the app before the first connection, and let SIGTERM close connections first.

    By itself gunicorn would wait for open WebSockets until it kills the worker, whose disconnect
    handlers would never run.
    """
    # Not at the top: the standard library is patched only after this file is read.
    from presence.storage.database import CannotServe  # noqa: PLC0415
    from presence.transport.admission.hosts_and_origins import whereabouts  # noqa: PLC0415
    from presence.transport.admission.request_bodies import bound_chunks  # noqa: PLC0415
    from presence.transport.serving import request_heads  # noqa: PLC0415
    from presence.transport.serving.memory import give_back_large_blocks  # noqa: PLC0415

    give_back_large_blocks()
    bound_chunks()
    request_heads.read_by(worker)
    logs.catch_printing()
    runtime = worker.wsgi.extensions["presence"]
    try:
        runtime.start()
    except CannotServe as error:
        worker.log.error("%s", error)
        sys.exit(CANNOT_BOOT)

    def terminate(signum, frame):
        worker.handle_exit(signum, frame)
        worker.farewell = runtime.socketio.start_background_task(runtime.stop)

    signal.signal(signal.SIGTERM, terminate)
    # A full collection that looked through all that is loaded stopped every socket for 90 ms.
    gc.collect()
    gc.freeze()
    # To look for garbage after every 700 objects, and through all of them after 70,000, doubled
    # what it costs to read a long message of many lists.
    gc.set_threshold(10_000, 20, 20)
    gc.enable()
    worker.log.info("Presence is ready: %s", whereabouts(settings))


def worker_exit(server, worker):
    """Let the clients be told before the process ends: nothing else keeps it from ending."""
    farewell = getattr(worker, "farewell", None)
    if farewell is not None:
        farewell.join()
