"""A server says that it is open, and does not start locked with what keeps nobody out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import create_app
from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.config import InvalidSetting, Settings
from presence.transport.admission import hosts_and_origins
from tests.support.keys import KEY, LOCKED


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY must have 32 bytes or more"),
        ({"SECRET_KEY": "x" * 31}, "SECRET_KEY must have 32 bytes or more"),
        ({"PRESENCE_ALLOWED_ORIGINS": ""}, "PRESENCE_ALLOWED_ORIGINS must list"),
        ({"PRESENCE_ALLOWED_ORIGINS": "*"}, "PRESENCE_ALLOWED_ORIGINS must list"),
        ({"PRESENCE_ALLOWED_HOSTS": ""}, "PRESENCE_ALLOWED_HOSTS must list"),
        ({"PRESENCE_ALLOWED_HOSTS": "a.example,*"}, "PRESENCE_ALLOWED_HOSTS must list"),
        ({"PRESENCE_TOKEN_KEYS": "a:short"}, "The key 'a' of PRESENCE_TOKEN_KEYS"),
        ({"PRESENCE_TOKEN_KEYS": KEY}, "PRESENCE_TOKEN_KEYS must be pairs"),
        ({"PRESENCE_TOKEN_KEYS": f"a:{'x' * 40},a:{'y' * 40}"}, "PRESENCE_TOKEN_KEYS must be"),
        ({"PRESENCE_MODE": "close"}, "PRESENCE_MODE must be open or locked"),
    ],
)
def test_what_keeps_nobody_out_does_not_start(changes: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidSetting, match=says) as raised:
        Settings.from_environment({**LOCKED, **changes})
    assert "xxxx" not in str(raised.value)


def test_the_server_itself_ends_with_that_sentence(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="SECRET_KEY must have 32 bytes or more"):
        LiveServer(tmp_path, **{**LOCKED, "SECRET_KEY": "short"}).start()


def test_an_open_server_says_so_and_a_locked_one_does_not(
    new_server: Callable[..., LiveServer], locked: LiveServer
) -> None:
    assert "open mode: whoever can reach this server" in new_server().log_text()
    assert "open mode" not in locked.log_text()


@pytest.mark.parametrize(
    ("host", "allowed", "says"),
    [
        ("127.0.0.1", "presence.example.org, 127.0.0.1", "http://127.0.0.1:3001/"),
        ("127.0.0.1", "localhost", "http://localhost:3001/"),
        ("0.0.0.0", ".example.org,localhost:3001", "http://localhost:3001/"),
        ("10.0.0.7", "10.0.0.7", "http://10.0.0.7:3001/"),
        (
            "127.0.0.1",
            "presence.example.org",
            "on 127.0.0.1:3001, for those who call it presence.example.org",
        ),
        ("0.0.0.0", ".example.org", "on 127.0.0.1:3001, for those who call it example.org"),
    ],
)
def test_the_place_it_names_at_the_start_is_one_that_it_answers_to(
    host: str, allowed: str, says: str
) -> None:
    changes = {"HOST": host, "PRESENCE_ALLOWED_HOSTS": allowed}
    assert hosts_and_origins.whereabouts(Settings.from_environment({**LOCKED, **changes})) == says
    open_to_all = hosts_and_origins.whereabouts(Settings(host=host))
    assert open_to_all == f"http://{host.replace('0.0.0.0', '127.0.0.1')}:3001/"


def test_a_locked_server_says_by_which_name_it_is_called(
    new_server: Callable[..., LiveServer],
) -> None:
    # What waits for it to answer calls it by its address.
    server = new_server(**LOCKED)
    assert f"Presence is ready: {server.url}/" in server.log_text()
    server.kill()
    server.set(PRESENCE_ALLOWED_HOSTS="presence.example.org")
    server.launch()
    eventually(
        lambda: (
            f"Presence is ready: on 127.0.0.1:{server.port}, for those who call it "
            "presence.example.org" in server.log_text()
        ),
        "the name is said",
        30,
    )


def test_the_pages_say_that_a_server_is_open(tmp_path: Path) -> None:
    def page(**settings: Any) -> str:
        app = create_app(Settings(database_url=f"sqlite:///{tmp_path}/x.db", **settings))
        return app.test_client().get("/", base_url="http://127.0.0.1").text

    assert "This server is open" in page()
    settings = Settings.from_environment(LOCKED)
    locked = {
        name: getattr(settings, name)
        for name in ("mode", "secret_key", "allowed_hosts", "allowed_origins")
    }
    assert "This server is open" not in page(**locked)


def test_secrets_are_not_printed_with_the_settings() -> None:
    printed = repr(Settings.from_environment({**LOCKED, "PRESENCE_TURN_SECRET": "turning"}))
    assert KEY not in printed
    assert "turning" not in printed
