"""The files of deploy/ are valid, and agree with the server and with each other."""

from __future__ import annotations

import re
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_cluster.private_nginx import DEPLOYED, PrivateNginx, for_workers
from presence.config import Settings
from tests.support import needs
from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"
VARIABLES = {setting.metadata["variable"] for setting in fields(Settings)}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


@pytest.mark.parametrize("workers", [1, 3, 5])
def test_nginx_takes_its_configuration_for_any_number_of_workers(workers: int) -> None:
    nginx = PrivateNginx({f"w{number}": 3000 + number for number in range(1, workers + 1)})
    try:
        assert "test is successful" in nginx.check()
    finally:
        nginx.close()


DEFAULT_SITE = (
    "    listen 80 default_server;\n    listen [::]:80 default_server;\n    server_name _;\n"
)


def test_nginx_takes_the_lines_that_are_commented_for_tls(tmp_path: Path) -> None:
    openssl = needs.program("openssl")
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k.pem", "-out", "c.pem"]
    command = [openssl, *made, "-subj", "/CN=x"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    text = DEPLOYED.read_text()
    text = re.sub(r"/etc/letsencrypt/\S+/fullchain.pem", f"{tmp_path}/c.pem", text)
    text = re.sub(r"/etc/letsencrypt/\S+/privkey.pem", f"{tmp_path}/k.pem", text)
    enabled = re.sub(
        r"^(\s*)# ((listen|server_name|ssl_|add_header|server \{|return|\}|    \w).*)$",
        r"\1\2",
        text,
        flags=re.MULTILINE,
    ).replace(DEFAULT_SITE, "", 1)
    nginx = PrivateNginx({"w1": 3001})
    try:
        path = nginx.folder / "presence.conf"
        path.write_text(
            for_workers(enabled, {"w1": 3001})
            .replace("/var/log/nginx/presence.log", f"{nginx.folder}/access.log")
            .replace("listen 443 ssl", "listen 127.0.0.1:34443 ssl")
            .replace("listen [::]:443 ssl", "listen 127.0.0.1:34444 ssl")
            .replace("listen 80", "listen 127.0.0.1:34480")
        )
        assert "test is successful" in nginx.check()
        assert "ssl_certificate" in path.read_text()
    finally:
        nginx.close()


def test_the_workers_of_compose_are_those_of_nginx(compose: dict[str, Any]) -> None:
    upstream = r"upstream presence_(w\d) \{ server 127\.0\.0\.1:(\d+);"
    known = dict(re.findall(upstream, DEPLOYED.read_text()))
    services = compose["services"]
    workers = {name: item for name, item in services.items() if re.fullmatch(r"w\d", name)}
    assert {name: item["environment"]["PORT"] for name, item in workers.items()} == known
    for name, item in workers.items():
        assert item["environment"]["PRESENCE_WORKER_NAME"] == name
        assert item["environment"].keys() <= VARIABLES
        assert item["image"] == "presence"
        assert item["read_only"]
        assert item["cap_drop"] == ["ALL"]
        assert set(item["depends_on"]) <= services.keys()
    # One build, which the others use.
    built = {name: item["build"] for name, item in services.items() if "build" in item}
    assert list(built) == ["w1"]
    assert (DEPLOY / built["w1"]["context"] / built["w1"]["dockerfile"]).is_file()
    published = [name for name, item in services.items() if "ports" in item]
    assert published == ["nginx"], "nobody else can be reached from outside"
    volumes = [volume for item in services.values() for volume in item.get("volumes", [])]
    used = {volume.split(":")[0] for volume in volumes}
    assert {name for name in used if not name.startswith(".")} == compose["volumes"].keys()


def test_nginx_in_compose_gets_a_configuration_with_the_names_of_the_workers(
    compose: dict[str, Any],
) -> None:
    command = compose["services"]["nginx"]["command"][-1]
    expression = re.search(r"sed '([^']+)'", command)
    assert expression
    made = subprocess.run(
        ["sed", expression[1], str(DEPLOYED)], capture_output=True, text=True, check=True
    ).stdout
    assert "127.0.0.1:300" not in made
    assert "server w2:3002;" in made
    assert "access_log /dev/stdout" in made


def test_the_unit_gives_each_process_the_name_that_nginx_knows() -> None:
    unit = (DEPLOY / "presence@.service").read_text()
    assert "presence@3001" in unit
    expression = re.search(r"export (PRESENCE_WORKER_NAME=\"[^\"]+\")", unit)
    assert expression
    script = f"PORT=3002; {expression[1].replace('$$', '$')}; echo $PRESENCE_WORKER_NAME"
    named = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert named.stdout == "w2\n"
