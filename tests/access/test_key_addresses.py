"""Keys that come from a provider's address: rotated, removed, and served slowly, wrongly or not."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.config import Settings
from presence.domain.permissions import issuers
from presence.errors import IssuerUnavailable, PresenceError, TokenRefused
from presence.transport.commands import outside_checks
from presence.transport.trust import fetching, key_addresses
from presence.transport.trust.fetching import CannotFetch, Fetch
from presence.transport.trust.key_addresses import KeyAddress
from tests.access.providers import IdentityProvider
from tests.support.callers import ask, refusal
from tests.support.clients import PythonClient
from tests.support.keys import token

NewServer = Callable[..., LiveServer]
PEERS = "/api/webrtc/rooms/studio"


@pytest.fixture
def provider(tmp_path: Path) -> Generator[IdentityProvider]:
    folder = tmp_path / "provider"
    folder.mkdir()
    made = IdentityProvider(folder)
    made.add("a")
    made.add("b")
    made.tell("a")
    made.start()
    yield made
    made.kill()


@pytest.fixture
def address(provider: IdentityProvider) -> KeyAddress:
    """The keys of the provider, which may be asked for every second."""
    return address_of(provider)


def address_of(provider: IdentityProvider, **table: Any) -> KeyAddress:
    described = {"keys_url": provider.url, "rooms": "*", "retry_seconds": 1, **table}
    rules = issuers.parse({"main": described})["main"]

    def spawn(do: Callable[[], None]) -> None:
        threading.Thread(target=do, daemon=True).start()

    return KeyAddress("main", rules, spawn, partial(Fetch, provider.url))


def read(address: KeyAddress, text: str) -> str:
    """Return whose a token is."""
    header = jwt.get_unverified_header(text)
    return issuers.verify([address], text, header).peer_id


def refused(address: KeyAddress, text: str) -> type[PresenceError] | None:
    """Return why a token is not taken now."""
    try:
        read(address, text)
    except PresenceError as error:
        return type(error)
    return None


def later(address: KeyAddress, text: str) -> str:
    """Return whose a token is, as soon as its key may be asked for."""
    eventually(lambda: refused(address, text) is None, "the token is good")
    return read(address, text)


def fewest_apart(provider: IdentityProvider) -> float:
    """Return how many seconds were between two requests, at least."""
    asked = provider.asked()
    return min((b - a for a, b in itertools.pairwise(asked)), default=float("inf"))


def test_a_key_that_is_new_is_asked_for_and_one_that_is_gone_is_forgotten(
    provider: IdentityProvider, address: KeyAddress
) -> None:
    old, new = provider.sign("a"), provider.sign("b")
    assert read(address, old) == "ada"
    provider.tell("a", "b")
    assert later(address, new) == "ada"
    assert len(provider.asked()) == 2

    provider.tell("b")
    frequent = address_of(provider, refresh_seconds=1)
    assert later(frequent, new) == "ada"
    assert refused(frequent, old) in (TokenRefused, IssuerUnavailable)
    provider.tell("a")

    def is_forgotten() -> bool:
        frequent.look()
        return refused(frequent, new) is not None

    eventually(is_forgotten, "the key that was removed is forgotten")
    assert fewest_apart(provider) > 0


def test_unknown_names_of_keys_in_floods_ask_once_in_a_while(
    provider: IdentityProvider, address: KeyAddress
) -> None:
    good = provider.sign("a")
    assert read(address, good) == "ada"
    began = time.monotonic()

    def flood(_number: int) -> int:
        refusals = 0
        while time.monotonic() < began + 2.5:
            made_up = provider.sign("b", {"kid": str(time.monotonic_ns())})
            assert refused(address, made_up) in (TokenRefused, IssuerUnavailable)
            refusals += 1
            assert read(address, good) == "ada"
        return refusals

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(flood, range(4))) > 50
    # Once in a second, however long a busy machine took.
    assert len(provider.asked()) <= time.monotonic() - began + 2


@pytest.mark.parametrize("how", ["error", "redirect", "long", "wrong", "hang", "drip", "gone"])
def test_keys_are_kept_while_their_address_does_not_give_them(
    provider: IdentityProvider, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (fetching, key_addresses):
        monkeypatch.setattr(module, "SECONDS", 1.0)
    address = address_of(provider, refresh_seconds=1)
    good, new = provider.sign("a"), provider.sign("b")
    assert read(address, good) == "ada"
    came = address._came
    if how == "gone":
        provider.kill()
    else:
        provider.tell("b", how=how)

    def has_failed() -> bool:
        address.look()
        return address._is_away

    eventually(has_failed, "the keys cannot be had", 20)
    assert read(address, good) == "ada"
    assert refused(address, new) is IssuerUnavailable
    assert address._came == came

    provider.tell("b")
    if how == "gone":
        provider.start()

    def is_back() -> bool:
        address.look()
        return refused(address, new) is None

    eventually(is_back, "the new key is here", 20)
    assert refused(address, good) is not None


def test_nobody_is_let_in_while_no_key_was_ever_had(provider: IdentityProvider) -> None:
    provider.tell("a", how="error")
    address = address_of(provider)
    with pytest.raises(IssuerUnavailable) as raised:
        read(address, provider.sign("a"))
    assert raised.value.retry_after == 1
    provider.tell("a")
    assert later(address, provider.sign("a")) == "ada"


def test_certificates_are_checked(provider: IdentityProvider) -> None:
    with pytest.raises(CannotFetch, match="cannot be reached"):
        Fetch(provider.url.replace("http:", "https:")).keys()


def joins(server: LiveServer, text: str) -> bool:
    """Tell whether a client with this token gets into the room."""
    client = PythonClient(server.url, ["websocket"], {"token": text})
    message = {"room_name": "studio", "peer_id": "ada", "username": "Ada"}
    try:
        return bool(client.call("join_room", message)["ok"])
    finally:
        client.disconnect()


@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_a_server_takes_a_providers_tokens_and_goes_on_while_it_waits_for_keys(
    new_server: NewServer, provider: IdentityProvider, mode: str
) -> None:
    server = new_server(mode, **provider.settings())
    good = provider.sign("a")
    assert joins(server, good)
    assert ask(server, "GET", PEERS, good).ok
    assert ask(server, "GET", "/api/webrtc/rooms/office", good).status_code == 403
    assert list(ask(server, "GET", "/api/webrtc/rooms", good).json()) == ["studio"]
    assert ask(server, "GET", PEERS, provider.sign("a", aud="x")).json()["code"] == "token_refused"
    assert refusal(server, {"token": provider.sign("a", exp=1)})["code"] == "token_expired"

    provider.tell("a", "b", how="slow")
    time.sleep(1)  # until the address may be asked again
    new, answers = provider.sign("b"), []
    waiting = threading.Thread(target=lambda: answers.append(ask(server, "GET", PEERS, new)))
    waiting.start()
    eventually(lambda: len(provider.asked()) == 2, "the keys are asked for")
    longest = 0.0
    while not answers:
        began = time.monotonic()
        assert ask(server, "GET", PEERS, token("bob", "studio")).ok
        assert ask(server, "GET", PEERS, good).ok
        longest = max(longest, time.monotonic() - began)
    waiting.join()
    assert answers[0].ok, answers[0].text
    assert longest < 1, "everybody waited for the provider"


def test_a_server_starts_and_says_so_while_the_provider_is_away(
    new_server: NewServer, provider: IdentityProvider
) -> None:
    provider.tell(how="drip")
    server = new_server(**provider.settings())
    assert ask(server, "GET", PEERS, token("bob", "studio")).status_code == 404
    eventually(lambda: "did not answer in time" in server.log_text(), "the log says so", 20)
    provider.kill()
    answer = ask(server, "GET", PEERS, provider.sign("a"))
    assert (answer.status_code, answer.json()["code"]) == (503, "issuer_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    provider.tell("a")
    provider.start()

    def is_in() -> bool:
        return ask(server, "GET", PEERS, provider.sign("a")).status_code == 404

    eventually(is_in, "the token is good")


def doctor(provider: IdentityProvider, **changes: Any) -> list[tuple[str, str]]:
    """Return what the doctor says about issuers."""
    settings = Settings.from_environment(provider.settings(**changes))
    found = outside_checks.look(settings)
    return [(one.state, one.detail) for one in found if one.name == "issuers"]


def test_the_doctor_looks_at_the_address_of_the_keys(provider: IdentityProvider) -> None:
    assert doctor(provider) == [("well", "main has 1 key (ES256)")]
    ((state, said),) = doctor(provider, audience=[])
    assert state == "warning"
    assert "no audience" in said
    provider.tell(how="wrong")
    ((state, said),) = doctor(provider)
    assert state == "fault"
    assert said.startswith(f"main: no keys from {provider.url}: what it answered is no JSON")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read: No such file"),
        ("[main", "is no TOML"),
        ("", "describes no issuer"),
        ('[main]\nrooms = "*"\n', "must have keys_url or keys_file"),
        ('[main]\nrooms = "*"\nkeys_file = "none.pem"\n', "none.pem, cannot be read"),
        ('[main]\nrooms = "*"\nkeys_file = "issuers.toml"\n', "has no key that can be used"),
    ],
)
def test_issuers_that_cannot_be_stop_the_start_with_a_sentence(
    provider: IdentityProvider, tmp_path: Path, text: str | None, says: str
) -> None:
    settings: dict[str, Any] = {**provider.settings()}
    file = Path(settings["PRESENCE_TOKEN_ISSUERS"])
    file.unlink() if text is None else file.write_text(text)
    folder = tmp_path / "server"
    folder.mkdir()
    with pytest.raises(AssertionError, match=says):
        LiveServer(folder, **settings).start()
