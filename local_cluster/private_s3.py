"""An S3 server of one's own (moto's), with one bucket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import boto3
import requests

from local_cluster.ports import free_port
from local_cluster.programs import Missing
from local_cluster.waiting import eventually

BUCKET = "presence-uploads"
PREFIX = "some/prefix"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class PrivateS3:
    """A bucket that lasts as long as the process that serves it."""

    def __init__(self) -> None:
        if find_spec("moto") is None:
            raise Missing("the Python package moto", "script/setup installs it")
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a server that keeps its uploads here."""
        url = {"UPLOAD_URL": f"s3://{BUCKET}/{PREFIX}", "PRESENCE_S3_ENDPOINT": self.endpoint}
        return {**url, **CREDENTIALS}

    def start(self) -> PrivateS3:
        """Start the server and make the bucket."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            env={**os.environ, **CREDENTIALS},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        eventually(self._answers, "the S3 server answers", 30)
        self.client().create_bucket(Bucket=BUCKET)
        return self

    def client(self) -> Any:
        """Return a client of one's own, to look into the bucket."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )

    def names(self) -> list[str]:
        """Return the name of every object below the prefix; fails on one beside it."""
        keys = [
            item["Key"] for item in self.client().list_objects_v2(Bucket=BUCKET).get("Contents", [])
        ]
        assert all(key.startswith(f"{PREFIX}/") for key in keys)
        return sorted(key.removeprefix(f"{PREFIX}/") for key in keys)

    def unfinished(self) -> list[Any]:
        """Return what was begun in parts and not finished."""
        found = self.client().list_multipart_uploads(Bucket=BUCKET)
        return list(found.get("Uploads", []))

    def signal(self, number: int) -> None:
        """Send the server a signal, such as SIGSTOP to let it hang."""
        assert self._process is not None
        self._process.send_signal(number)

    def empty(self) -> None:
        """Remove every object."""
        for name in self.names():
            self.client().delete_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}")

    def stop(self) -> None:
        """End the server, and with it what it holds."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    close = stop

    def _answers(self) -> bool:
        try:
            return requests.get(self.endpoint, timeout=2).ok
        except requests.RequestException:
            return False
