"""The bytes of uploaded files, in a bucket that speaks S3.

A file is received into the pending folder of this machine all the same, since its type is found in
its content. An object is there whole or not at all, so none is half-written; but it and its row
cannot change in one transaction either. What stands in the pending folder is the journal by which
`recover` repairs what a crash left: *the object of a pending name belongs in the bucket exactly if
its row exists.*

* An upload gets its name in the pending folder, is put into the bucket, its row is committed, then
  the pending file goes. Until the row is there nobody knows the object's name.
* A deletion leaves a mark in the pending folder, commits without the row, then removes the object.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from presence.storage.blobs import LocalBlobs, ObjectStoreError, PendingBlob

log = logging.getLogger(__name__)

# An address to download from is good for so long; a client asks for it when it needs it.
LINK_SECONDS = 300
_CONNECT_SECONDS = 3
_ANSWER_SECONDS = 5
# Larger files go in parts of this size, one after the other, which bounds the memory they take.
_PART_BYTES = 8 * 1024 * 1024
# What a bucket answers that is not there, or to a wrong key; and what is said without any key.
_LASTING = {400, 401, 403, 404}
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError)
# What S3 deletes at once.
_BATCH = 1_000


class S3Blobs(LocalBlobs):
    """Uploaded files in a bucket: `url` is ``s3://bucket/prefix``, `endpoint` that of no AWS.

    Keys and region are found where every program finds them, such as ``AWS_ACCESS_KEY_ID``.
    """

    def __init__(
        self, url: str, folder: Path, worker_id: str, *, endpoint: str = "", **limits: Any
    ) -> None:
        super().__init__(folder, worker_id, **limits)
        parts = urlsplit(url)
        self._bucket = parts.netloc
        prefix = parts.path.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        # A session of its own: the one that boto3 shares keeps the keys of whoever asked first.
        self._client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint or None,
            config=Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_ANSWER_SECONDS,
                retries={"total_max_attempts": 2, "mode": "standard"},
                max_pool_connections=50,
                signature_version="s3v4",
                s3={"addressing_style": "path" if endpoint else "auto"},
                # Servers other than Amazon's refuse what they do not know.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        self._transfer = TransferConfig(
            multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, use_threads=False
        )

    def name(self, blob: PendingBlob, stored_name: str) -> None:
        """Give a pending file its final name, and put it into the bucket; raises `OSError`.

        Takes as long as the bucket does, so nothing is to be locked meanwhile.
        """
        super().name(blob, stored_name)
        assert blob.path is not None
        blob.undo = lambda: self._remove([stored_name])
        self._put(blob.path, stored_name)

    def keep(self, blob: PendingBlob, stored_name: str) -> None:
        """Note that the row of a file was committed; its object is in place already."""
        blob.undo = None
        blob.discard()

    @contextmanager
    def deletion(self) -> Generator[Callable[[Iterable[str]], None]]:
        """Give a function that notes which files are about to go, to be called before their rows.

        Wrap the transaction in it: when that fails, nothing was done, else the objects are removed.
        A missing one is no error.
        """
        marks: list[Path] = []

        def withdraw(stored_names: Iterable[str]) -> None:
            for name in stored_names:
                self._pending.mkdir(parents=True, exist_ok=True)
                marks.append(self._pending / name)
                marks[-1].touch()

        try:
            yield withdraw
        except BaseException:
            for mark in marks:
                mark.unlink(missing_ok=True)
            raise
        try:
            self._remove([mark.name for mark in marks])
        except OSError:
            # They have no rows; a process that starts when this one has ended removes them.
            log.exception("%d deleted files could not be removed from the bucket yet", len(marks))
            return
        self.thumbnails.forget(mark.name for mark in marks)
        for mark in marks:
            mark.unlink(missing_ok=True)

    def try_writing(self) -> None:
        """Check that files can be received and that the bucket answers; raises `OSError`."""
        super().try_writing()
        self.check_bucket()

    def check_bucket(self) -> None:
        """Check that the bucket answers; raises `ObjectStoreError`."""
        with _reaching():
            self._client.head_bucket(Bucket=self._bucket)

    def link(self, stored_name: str, content_type: str, download_name: str, inline: bool) -> str:
        """Return an address from which a file can be fetched for a while, with type and name."""
        kind = "inline" if inline else "attachment"
        disposition = f"{kind}; filename*=UTF-8''{quote(download_name, safe='')}"
        address: str = self._client.generate_presigned_url(
            "get_object",
            Params={
                **self._address(stored_name),
                "ResponseContentType": content_type,
                "ResponseContentDisposition": disposition,
                "ResponseCacheControl": "private, max-age=3600",
            },
            ExpiresIn=LINK_SECONDS,
        )
        return address

    @contextmanager
    def at_hand(self, stored_name: str) -> Generator[Path]:
        """Give a path with a copy of an object; raises `FileNotFoundError` where it is gone."""
        with tempfile.NamedTemporaryFile() as copy, self.reading(stored_name) as body:
            shutil.copyfileobj(body, copy)
            copy.flush()
            yield Path(copy.name)

    @contextmanager
    def reading(self, stored_name: str) -> Generator[Any]:
        """Open an object, to be read once; raises `FileNotFoundError` where it is gone."""
        with _reaching():
            try:
                body = self._client.get_object(**self._address(stored_name))["Body"]
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    raise FileNotFoundError(stored_name) from error
                raise
            try:
                yield body
            finally:
                body.close()

    def stored_before(self, instant: datetime) -> Iterator[str]:
        """Yield the names of the objects that were written before an instant."""
        with _reaching():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    if item["LastModified"] < instant:
                        yield item["Key"].removeprefix(self._prefix)

    def remove(self, stored_name: str) -> None:
        """Remove an object that has no row; a missing one is no error."""
        self._remove([stored_name])

    def _repair(self, folder: Path, known: set[str]) -> None:
        """Bring the bucket in line with the rows, for the names in a dead worker's folder."""
        for entry in sorted(folder.iterdir()):
            if entry.name in known:
                # Of a deletion that was not committed only an empty mark is left.
                if entry.stat().st_size and not self._exists(entry.name):
                    self._put(entry, entry.name)
            elif entry.suffix:
                self._remove([entry.name])
            entry.unlink()

    def _put(self, path: Path, stored_name: str) -> None:
        with _reaching():
            self._client.upload_file(
                str(path), self._bucket, self._prefix + stored_name, Config=self._transfer
            )

    def _exists(self, stored_name: str) -> bool:
        with _reaching():
            try:
                self._client.head_object(**self._address(stored_name))
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return False
                raise
            return True

    def _remove(self, stored_names: list[str]) -> None:
        for start in range(0, len(stored_names), _BATCH):
            keys = [{"Key": self._prefix + name} for name in stored_names[start : start + _BATCH]]
            with _reaching():
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True}
                )
            if answer.get("Errors"):
                kept = answer["Errors"][0]
                raise ObjectStoreError(f"it kept objects: {kept}")

    def _address(self, stored_name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + stored_name}


@contextmanager
def _reaching() -> Generator[None]:
    """Let what goes wrong on the way to the bucket be an `ObjectStoreError`."""
    try:
        yield
    except (BotoCoreError, Boto3Error, ClientError) as error:
        # Of a bucket that does not answer in time, `response` is there and None.
        response = getattr(error, "response", None) or {}
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        is_lasting = status in _LASTING or isinstance(error, _NO_CREDENTIALS)
        raise ObjectStoreError(str(error).rstrip("."), is_lasting=is_lasting) from error
