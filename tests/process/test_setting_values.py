"""A setting that cannot be is answered with a sentence that names it, however it was given."""

from __future__ import annotations

import contextlib
import os
import random
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from presence.config import InvalidSetting, Settings, read_env_file, unknown_settings
from presence.domain.permissions import room_patterns
from presence.setting_values import listed
from tests.support.keys import LOCKED

# No setting may have these, whatever its default is.
WRONG: dict[type, list[str]] = {
    int: ["many", "1.5", "-1", "9" * 30, "9" * 5000, "0x10", "1e3", "1 2", "m" * 90_000],
    float: ["soon", "nan", "inf", "-1", "1e300", "9" * 5000, "1,5", "m" * 90_000],
    bool: ["maybe", "2", "none", "m" * 90_000],
    str: ["\x07", "a\u2028b", "\x1b[31m"],
}
# What has the wrong form, by setting; the second value says what else is set.
MISSHAPEN: list[tuple[str, list[str], dict[str, str]]] = [
    ("HOST", ["http://127.0.0.1", "127.0.0.1:3001", "a b", "127.0.0.1/", "[::1", "[::1]:80"], {}),
    (
        "DATABASE_URL",
        [
            "presence.db",
            "sqlite://x.db",
            "sqlite:///",
            "mysql://h/x",
            "postgresql:x",
            "postgresql+psycopg://h/x",
            "postgresql://u:p/w@h/x",
            "postgresql://u:p#w@h/x",
        ],
        {},
    ),
    ("REDIS_URL", ["localhost:6379", "localhost", "http://localhost", "redis://", "redis:x"], {}),
    ("UPLOAD_URL", ["bucket", "s3://", "s3:///prefix", "https://bucket", "s3://Big_Name"], {}),
    ("PRESENCE_S3_ENDPOINT", ["localhost:9000", "s3.example.org", "http://"], {}),
    ("PRESENCE_WORKER_NAME", ["A", "a.b", "a" * 17], {}),
    ("PRESENCE_REDIS_PREFIX", ["a b", "a*", "é" * 65], {}),
    ("PRESENCE_PREFIX", ["presence", "/a b", "/..", "//a", "https://a.example/b", "/api"], {}),
    ("PRESENCE_MODE", ["close", "LOCKED"], {}),
    ("PRESENCE_ROOMS", ["make", "MADE"], {}),
    ("PRESENCE_ALLOWED_HOSTS", ["https://a.example", "a.example/x", "1::2::3", "", "*"], LOCKED),
    ("PRESENCE_ALLOWED_ORIGINS", ["a.example", "https://a.example/x", "*"], LOCKED),
    ("SECRET_KEY", ["short"], LOCKED),
    ("PRESENCE_TOKEN_KEYS", ["short", "a:b,a:c"], {}),
    ("PRESENCE_STUN_URLS", ["stun:", "h:3478", "turn:h"], {}),
    ("PRESENCE_TURN_URLS", ["turn:", "https://h", "turn:u@h"], {"PRESENCE_TURN_SECRET": "s"}),
    ("PRESENCE_TURN_SECRET", [""], {"PRESENCE_TURN_URLS": "turn:h"}),
    ("PRESENCE_METRICS_TOKEN", ["two words", "naïve"], {}),
    ("PRESENCE_LOG_FORMAT", ["xml"], {}),
    ("PRESENCE_LOG_LEVEL", ["loud", "5"], {}),
    ("PRESENCE_WEBHOOK_URLS", ["h", "ftp://h/x", "https://", "https://h/x y"], {}),
    ("PRESENCE_WEBHOOK_SECRETS", ["whsec_", "whsec_c2hvcnQ=", "no base64!" * 4], {}),
    ("PRESENCE_WEBHOOK_SECRETS", [""], {"PRESENCE_WEBHOOK_URLS": "https://h/x"}),
    ("PRESENCE_EVENTS", [",", "some", "peer_joined,peer_vanished"], {}),
    ("PRESENCE_EVENT_ROOMS", ["a\\b", "a" * 257, "a/b*", ",", "a, .."], {}),
    *(
        (f"PRESENCE_KEEP_{of}", ["30", "0d", "d", "never", "1.5d"], {})
        for of in ("INACTIVE_PEERS", "EMPTY_ROOMS", "FILES", "ACTIVITY", "EVENTS")
    ),
    ("PRESENCE_KEEP_BROADCASTS_FOR", ["30", "0d", "never"], {}),
]


def refusal(environment: dict[str, str]) -> str:
    """Return the sentence that settings are refused with."""
    with pytest.raises(InvalidSetting) as raised:
        Settings.from_environment(environment)
    return str(raised.value)


@pytest.mark.parametrize(
    "setting", fields(Settings), ids=lambda setting: setting.metadata["variable"]
)
def test_a_value_that_cannot_be_is_answered_with_a_sentence_that_names_its_setting(
    setting: Any,
) -> None:
    variable = setting.metadata["variable"]
    for text in WRONG[type(setting.default)]:
        says = refusal({variable: text})
        assert says.startswith(variable), (text, says)
        assert says.endswith("."), (text, says)
        assert "\n" not in says, (text, says)
        assert len(says) < 300, (variable, len(says))


@pytest.mark.parametrize(
    ("variable", "texts", "others"), MISSHAPEN, ids=lambda item: str(item)[:24]
)
def test_a_value_of_the_wrong_form_is_answered_so_too(
    variable: str, texts: list[str], others: dict[str, str]
) -> None:
    for text in texts:
        says = refusal({**others, variable: text})
        assert variable in says, (text, says)
        assert re.fullmatch(r"[^\n]+[.'-]", says), (text, says)


def test_a_text_that_is_far_too_long_is_not_repeated_in_its_refusal() -> None:
    """Where it is refused: the length of a secret or a list is its owner's business."""
    for setting in fields(Settings):
        for text in ("x" * 90_000, "://" * 30_000, f"sqlite:///{'x' * 90_000}?"):
            with contextlib.suppress(InvalidSetting):
                Settings.from_environment({setting.metadata["variable"]: text})
                continue
            assert len(refusal({setting.metadata["variable"]: text})) < 400, setting.name


def test_what_is_empty_or_blank_is_not_set() -> None:
    for setting in fields(Settings):
        for text in ("", " ", " \t ", "\r"):
            given = Settings.from_environment({setting.metadata["variable"]: text})
            assert getattr(given, setting.name) == setting.default


def test_every_text_setting_with_a_form_is_tried() -> None:
    free = {"UPLOAD_DIR", "PRESENCE_TOKEN_ISSUERS"}
    texts = {str(item.metadata["variable"]) for item in fields(Settings) if item.type == "str"}
    assert texts - free == {variable for variable, _, _ in MISSHAPEN}


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_that_were_passed_on_with_a_value_are_named(quote: str) -> None:
    for setting in fields(Settings):
        variable = setting.metadata["variable"]
        says = refusal({variable: f" {quote}{setting.default or 'x'}{quote}\r"})
        assert says.startswith(f"{variable} must stand without quotes"), says


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a file with settings is that the environment has nothing of."""
    monkeypatch.setattr(os, "environ", {})
    return tmp_path / ".env"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r", " \n", "\t\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_of_settings_is_read_however_it_was_saved(
    env_file: Path, ends: str, encoding: str
) -> None:
    lines = ["PORT=3002", 'PRESENCE_MAX_PEERS="7"', "UPLOAD_DIR=übrig", ""]
    env_file.write_bytes(ends.join(lines).encode(encoding))
    read_env_file(env_file)
    settings = Settings.from_environment()
    assert (settings.port, settings.max_peers, settings.upload_dir) == (3002, 7, "übrig")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_of_settings_in_another_encoding_stops_the_start(
    env_file: Path, encoding: str
) -> None:
    env_file.write_text("PRESENCE_MODE=locked\nUPLOAD_DIR=übrig\n", encoding=encoding)
    with pytest.raises(InvalidSetting, match=f"{env_file} is not in UTF-8"):
        read_env_file(env_file)


@pytest.mark.parametrize(
    "text", ["PRESENCE_MODE locked", "=locked", 'PRESENCE_MODE="locked', "PORT=1\n\n# x\na b\n"]
)
def test_a_line_that_sets_nothing_stops_the_start_by_its_number(env_file: Path, text: str) -> None:
    env_file.write_text(f"{text}\nUPLOAD_DIR=up\n")
    with pytest.raises(InvalidSetting, match=rf"^Line [14] of {env_file} sets nothing. Write "):
        read_env_file(env_file)
    assert not os.environ.keys() & {"PORT", "UPLOAD_DIR"}


def test_a_folder_in_the_place_of_the_file_stops_the_start(env_file: Path) -> None:
    read_env_file(env_file)
    env_file.mkdir()
    with pytest.raises(InvalidSetting, match=f"{env_file} cannot be read: Is a directory"):
        read_env_file(env_file)


def test_a_setting_whose_beginning_is_mistyped_is_seen_too() -> None:
    meant = {
        "presence_mode": "PRESENCE_MODE",
        "Presence_Max_Peers": "PRESENCE_MAX_PEERS",
        "PRESENSE_ALLOWED_HOSTS": "PRESENCE_ALLOWED_HOSTS",
        "PRESENCES_TOKEN_KEYS": "PRESENCE_TOKEN_KEYS",
    }
    others = dict.fromkeys(("PREVIEW_MODE", "PRE_MODE", "PRESENTER_HOME", "MODE", "PREFIX"), "x")
    assert unknown_settings({**dict.fromkeys(meant, "x"), **others}) == meant


def test_no_secret_stands_in_a_refusal() -> None:
    for text in (
        "postgresql://u:hid den@h/x",
        "postgresql://u:hid/den@h:5432/x",
        "mysql://u:hid@h",
    ):
        assert "hid" not in refusal({"DATABASE_URL": text})
    assert "hid" not in refusal({"REDIS_URL": "http://:hidden@h"})


def test_rooms_of_which_backends_are_told_are_patterns_as_tokens_have_them() -> None:
    """What the settings let pass is understood later, whatever its characters are."""
    random_ = random.Random(19)
    pieces = [
        "a",
        "*",
        "\\",
        "\\*",
        "/",
        ".",
        "..",
        " ",
        "é",
        "e\u0301",
        "\u0301",
        "\u3164",
        "\u115f",
    ]
    pieces += ["\u202e", "\u200b", "\x01", "x" * 127, "x" * 128, "🙂", "\ud800", "\ue000"]
    passed = 0
    for _ in range(5000):
        text = "".join(random_.choices(pieces, k=random_.randrange(1, 4)))
        with contextlib.suppress(InvalidSetting):
            given = Settings.from_environment({"PRESENCE_EVENT_ROOMS": text})
            for pattern in listed(given.event_rooms):
                room_patterns.parse(pattern)
            passed += 1
    assert passed > 500
