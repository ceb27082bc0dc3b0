"""Firefox as Debian has it, which Playwright cannot drive: over Marionette, its own protocol.

Messages are ``length:[0, number, command, parameters]``, answers
``length:[1, number, error, result]`` (Mozilla's protocol 3).
"""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

from local_cluster.ports import free_port
from local_cluster.waiting import eventually

_SETTINGS = {
    # A camera and a microphone made of nothing, and no question before they are used.
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "media.autoplay.default": 0,
    # Both ends are on this machine, where no name of mDNS is heard.
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "network.lna.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "services.settings.server": "data:,",
}
# Evaluates as a page's own script, and calls what it makes as Playwright does.
_EVALUATE = """
const [script, argument, done] = arguments;
const answer = (value) => done(JSON.stringify(value) ?? "null");
const fail = (error) => answer({ error: `${error}\\n${error.stack}` });
try {
  const made = window.eval(`(${script}\\n)`);
  const value = typeof made === "function" ? window.eval("JSON.parse")(argument) : null;
  Promise.resolve(typeof made === "function" ? made(value) : made)
    .then((value) => answer({ value: value ?? null }))
    .catch(fail);
} catch (error) {
  fail(error);
}
"""


class Firefox:
    """Firefox without a window, with a profile in `folder` and one page."""

    def __init__(self, program: str, folder: Path) -> None:
        port = free_port()
        settings = {**_SETTINGS, "marionette.port": port}
        lines = (f'user_pref("{name}", {json.dumps(value)});' for name, value in settings.items())
        (folder / "user.js").write_text("\n".join(lines))
        command = [program, "--headless", "--marionette", "--no-remote", "--profile", str(folder)]
        self._log = (folder / "firefox.log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        self._number = 0
        self._socket = self._connected(port)
        self._read()
        self._say("WebDriver:NewSession", {"acceptInsecureCerts": True})
        self._say("WebDriver:SetTimeouts", {"script": 60_000, "pageLoad": 60_000})

    def goto(self, url: str) -> None:
        self._say("WebDriver:Navigate", {"url": url})

    def evaluate(self, script: str, argument: Any = None) -> Any:
        """Evaluate an expression or call a function in the page; promises are awaited."""
        parameters = {"script": _EVALUATE, "args": [script, json.dumps(argument)]}
        answer = json.loads(self._say("WebDriver:ExecuteAsyncScript", parameters)["value"])
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def close(self) -> None:
        """End the browser, and with it every connection."""
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _connected(self, port: int) -> socket.socket:
        def connect() -> socket.socket | None:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=90)
            except ConnectionRefusedError:
                return None

        found = eventually(connect, "Firefox listens", 90, 0.2)
        assert isinstance(found, socket.socket)
        return found

    def _say(self, command: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(message), message))
        _, number, error, result = self._read()
        assert number == self._number
        assert error is None, error
        return result

    def _read(self) -> Any:
        length = b""
        while (byte := self._socket.recv(1)) != b":":
            assert byte, "Firefox has gone"
            length += byte
        content = b""
        while len(content) < int(length):
            part = self._socket.recv(int(length) - len(content))
            assert part, "Firefox has gone"
            content += part
        return json.loads(content)
