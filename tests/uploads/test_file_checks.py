"""Files are looked at in processes of their own, with limits, and nobody else waits for it."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
from pathlib import Path

import pytest

from local_cluster.waiting import eventually
from presence.config import Settings
from presence.domain.files import file_types
from presence.errors import FileCheckBusy, FileTooComplex, FileTypeRefused
from presence.transport.process.file_checks import FileChecks
from tests.support.paths import SAMPLES
from tests.uploads.makers import docx

PDF_OF_NOISE = b"%PDF-1.4\n" + b"1 0 obj\n" * 1_000_000 + b"%%EOF"


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    path = tmp_path / "slow.pdf"
    path.write_bytes(PDF_OF_NOISE)
    return path


def test_a_checker_answers_again_and_again_and_tells_conditions() -> None:
    checks = FileChecks(Settings(file_checkers=1))
    for name in ("photo.jpg", "notes.docx", "notes.pdf"):
        kind = checks.check(SAMPLES / name, name)
        assert kind is file_types.by_extension(Path(name).suffix)
    with pytest.raises(FileTypeRefused, match=r"PNG picture: name it \.png"):
        checks.check(SAMPLES / "photo.png", "photo.gif")
    assert len(checks._idle) == 1, "one process did all of it"


def test_a_file_that_takes_too_long_is_refused_and_the_next_one_is_not(slow: Path) -> None:
    checks = FileChecks(Settings(file_checkers=1, file_check_seconds=0.3))
    with pytest.raises(FileTooComplex, match="seconds"):
        checks.check(slow, "slow.pdf")
    assert checks.check(SAMPLES / "notes.txt", "a.txt") is file_types.TXT


def test_a_file_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.docx"
    path.write_bytes(docx(more={"word/media/a.bin": b"\0" * 300_000_000}))
    checks = FileChecks(Settings(file_checkers=1, file_check_bytes=50 * 1024 * 1024))
    with pytest.raises(FileTooComplex, match="MiB of memory"):
        checks.check(path, "large.docx")
    assert checks.check(SAMPLES / "photo.png", "a.png") is file_types.PNG


def test_who_waits_too_long_for_a_turn_is_told_to_come_back(slow: Path) -> None:
    checks = FileChecks(Settings(file_checkers=1, file_check_seconds=0.3))
    checks._places.acquire()
    with pytest.raises(FileCheckBusy) as busy:
        checks.check(slow, "slow.pdf")
    assert busy.value.extra["retry_after"] > 0


def test_a_checker_that_ended_by_itself_is_replaced() -> None:
    checks = FileChecks(Settings(file_checkers=1))
    checks.check(SAMPLES / "notes.txt", "a.txt")
    checks._idle[0]._socket.shutdown(2)  # as if it had waited for long
    assert checks.check(SAMPLES / "notes.txt", "a.txt") is file_types.TXT


def test_a_checker_has_no_secrets_and_ends_with_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET_KEY", "x" * 32)
    checks = FileChecks(Settings(file_checkers=1))
    checks.check(SAMPLES / "notes.txt", "a.txt")
    process = checks._idle[0]._process
    assert b"SECRET_KEY" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    assert os.getpriority(os.PRIO_PROCESS, process.pid) > 0
    checks._idle[0]._socket.close()
    eventually(lambda: process.poll() is not None, "it has ended")


def test_as_many_are_looked_at_as_there_are_places(slow: Path) -> None:
    checks = FileChecks(Settings(file_checkers=2, file_check_seconds=1.0))
    most = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, 2 - checks._places._value)
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(checks.check, slow, "slow.pdf") for _ in range(4)]
        for answer in answers:
            assert isinstance(answer.exception(), (FileTooComplex, FileCheckBusy))
    done.set()
    watcher.join()
    assert most == 2
