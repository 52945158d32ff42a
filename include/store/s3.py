"""S3 as an fsspec file system on boto3: multipart transfers, listings of any length, errors that say what to do.

Credentials come from where boto3 looks (AWS_ACCESS_KEY_ID …, a profile, the role of a machine or pod), the address from
AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, the certificate authority from AWS_CA_BUNDLE; never from a URI.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from include.store.filesystems import RefusedError
from include.store.s3_errors import told, translated

MULTIPART = 32 * 1024 * 1024
"""Bytes from which an object travels in parts."""
_PART = 16 * 1024 * 1024
_DELETED_AT_ONCE = 1000
_TRANSFER = TransferConfig(multipart_threshold=MULTIPART, multipart_chunksize=_PART, max_concurrency=4)


class S3FileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Objects as files: ``bucket/key``. An object appears whole or not at all; folders are prefixes, never made.

    Listings are never cached. Every method raises FileNotFoundError for what is not there, AwayError while the server
    does not answer, RefusedError for all else.
    """

    protocol = ("s3", "s3a")
    root_marker = ""
    cachable = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        try:
            told_by = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith("AWS_")))
            self._client = _client(os.getpid(), told_by)
        except ValueError as error:
            raise RefusedError(f"{error}; correct AWS_ENDPOINT_URL, such as https://s3.example.com") from error
        except BotoCoreError as error:
            raise translated(error, "", "", "its endpoint", "reach") from error
        self.endpoint = str(self._client.meta.endpoint_url)

    def ls(self, path: str, detail: bool = True, **_options: Any) -> list[Any]:
        """Return the objects and folders right below ``path``."""
        bucket, key = self._split(path)
        prefix = f"{key}/" if key else ""
        found: list[dict[str, Any]] = []
        for page in self._pages(bucket, prefix, Delimiter="/"):
            found += [_folder(f"{bucket}/{part['Prefix'].rstrip('/')}") for part in page.get("CommonPrefixes", ())]
            found += [_file(bucket, one) for one in page.get("Contents", ()) if one["Key"] != prefix]
        if not found:
            about = self.info(path)
            found = [about] if about["type"] == "file" else []
        return found if detail else [entry["name"] for entry in found]

    def find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **options: Any
    ) -> Any:
        """Return every object below ``path``, and ``path`` itself where it is one."""
        if maxdepth is not None or withdirs:
            return super().find(path, maxdepth=maxdepth, withdirs=withdirs, detail=detail, **options)
        bucket, key = self._split(path)
        prefix = f"{key}/" if key else ""
        found = {
            f"{bucket}/{one['Key']}": _file(bucket, one)
            for page in self._pages(bucket, prefix)
            for one in page.get("Contents", ())
            if not one["Key"].endswith("/")  # folders that a console drew
        }
        if key and (one := self._object(bucket, key)):
            found[one["name"]] = one
        return found if detail else sorted(found)

    def info(self, path: str, **_options: Any) -> dict[str, Any]:
        """Return name, type, size, etag and time of ``path``.

        A listing tells it: the answer to a HEAD request has no body, so it cannot say what is wrong.
        """
        bucket, key = self._split(path)
        if key and (one := self._object(bucket, key)):
            return one
        if self._first(bucket, f"{key}/" if key else "") is None and key:
            raise FileNotFoundError(f"s3://{bucket}/{key}")
        return _folder(f"{bucket}/{key}" if key else bucket)

    def exists(self, path: str, **_options: Any) -> bool:
        """Tell whether there is such an object or folder; unlike fsspec's own, an error is not taken for a no."""
        return self._type(path) is not None

    def isfile(self, path: str) -> bool:
        """Tell whether ``path`` is an object; see `exists`."""
        return self._type(path) == "file"

    def isdir(self, path: str) -> bool:
        """Tell whether something is below ``path``; see `exists`."""
        return self._type(path) == "directory"

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_options: Any) -> bytes:
        """Return the bytes of an object, or those from ``start`` to before ``end``."""
        bucket, key = self._split(path)
        if start is not None or end is not None:
            size = int(self.info(path)["size"]) if (start or 0) < 0 or (end or 0) < 0 else 0
            start, end = (start or 0) % size if size else (start or 0), end % size if size and end else end
            if end is not None and end <= start:
                return b""
        span = {} if start is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        with self._told(bucket, key, "read from"):
            content: bytes = self._client.get_object(Bucket=bucket, Key=key, **span)["Body"].read()
        return content

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_options: Any) -> None:
        """Write ``value`` as one object."""
        bucket, key = self._split(path)
        with self._told(bucket, key, "write to"):
            if len(value) < MULTIPART:
                self._client.put_object(Bucket=bucket, Key=key, Body=value)
            else:
                self._client.upload_fileobj(io.BytesIO(value), bucket, key, Config=_TRANSFER)

    def put_file(self, lpath: str, rpath: str, callback: Any = None, mode: str = "overwrite", **_options: Any) -> None:
        """Copy the local file ``lpath`` into the object ``rpath``; a large one in parts."""
        bucket, key = self._split(rpath)
        with self._told(bucket, key, "write to"), Path(lpath).open("rb") as file:
            self._client.upload_fileobj(file, bucket, key, Config=_TRANSFER)

    def get_file(self, rpath: str, lpath: str, callback: Any = None, outfile: Any = None, **_options: Any) -> None:
        """Copy the object ``rpath`` into the local file ``lpath``; a large one in parts."""
        bucket, key = self._split(rpath)
        Path(lpath).parent.mkdir(parents=True, exist_ok=True)
        with self._told(bucket, key, "read from"), Path(lpath).open("wb") as file:
            self._client.download_fileobj(bucket, key, file, Config=_TRANSFER)

    def cp_file(self, path1: str, path2: str, **_options: Any) -> None:
        """Copy an object on the server."""
        bucket, key = self._split(path2)
        source = dict(zip(("Bucket", "Key"), self._split(path1), strict=True))
        with self._told(bucket, key, "write to"):
            self._client.copy(source, bucket, key, Config=_TRANSFER)

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove objects, and with ``recursive`` what is below each path; what is not there is left alone."""
        paths = [path] if isinstance(path, str) else list(path)
        names = [name for one in paths for name in (self.find(one) if recursive else [one])]
        by_bucket: dict[str, list[str]] = {}
        for bucket, key in map(self._split, names):
            by_bucket.setdefault(bucket, []).append(key)
        for bucket, keys in by_bucket.items():
            for first in range(0, len(keys), _DELETED_AT_ONCE):
                self._remove(bucket, keys[first : first + _DELETED_AT_ONCE])

    def rm_file(self, path: str) -> None:
        """Remove an object."""
        self.rm(path)

    def mkdir(self, path: str, create_parents: bool = True, **_options: Any) -> None:
        """Do nothing: a folder is there as soon as something is in it; buckets are made by who pays for them."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing, as `mkdir`."""

    def _open(self, path: str, mode: str = "rb", **options: Any) -> AbstractBufferedFile:
        if mode != "rb":
            raise NotImplementedError(f"'{path}': an object is written whole, by pipe_file or put_file")
        options.pop("cache_options", None)
        return _Reader(self, path, mode, cache_type="readahead", size=self.info(path)["size"])

    def _remove(self, bucket: str, keys: list[str]) -> None:
        with self._told(bucket, keys[0], "delete from"):
            wanted = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
            failed = self._client.delete_objects(Bucket=bucket, Delete=wanted).get("Errors", [])
        for error in failed:
            if error.get("Code") != "NoSuchKey":
                raise RefusedError(f"cannot delete s3://{bucket}/{error.get('Key')}: {error.get('Code')}")

    def _object(self, bucket: str, key: str) -> dict[str, Any] | None:
        """Return the object of exactly this key: it sorts before all others that begin with it."""
        first = self._first(bucket, key)
        return _file(bucket, first) if first and first["Key"] == key else None

    def _first(self, bucket: str, prefix: str) -> dict[str, Any] | None:
        """Return the first object whose key begins with ``prefix``; a busy server may give empty pages before it."""
        pages = self._pages(bucket, prefix, most=1)
        return next((one for page in pages for one in page.get("Contents", ())), None)

    def _type(self, path: str) -> str | None:
        try:
            return str(self.info(path)["type"])
        except FileNotFoundError:
            return None

    def _pages(self, bucket: str, prefix: str, most: int = 1000, **options: Any) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": most}, **options
        )
        with self._told(bucket, prefix, "list"):
            yield from pages

    def _split(self, path: str) -> tuple[str, str]:
        bucket, _, key = str(self._strip_protocol(path)).partition("/")
        if not bucket:
            raise RefusedError(f"'{path}' names no bucket; write the URI as s3://bucket/prefix")
        return bucket, key

    def _told(self, bucket: str, key: str, operation: str) -> AbstractContextManager[None]:
        return told(bucket, key, self.endpoint, operation)


class _Reader(AbstractBufferedFile):  # type: ignore[misc]
    def _fetch_range(self, start: int, end: int) -> bytes:
        content: bytes = self.fs.cat_file(self.path, start, end)
        return content


@lru_cache(maxsize=8)
def _client(_process: int, _environment: tuple[tuple[str, str], ...]) -> Any:
    """Return a client, one for each process and environment: making one takes a tenth of a second."""
    retries = {"mode": "standard", "total_max_attempts": 3}
    config = Config(connect_timeout=5, read_timeout=60, retries=retries, max_pool_connections=32)
    return boto3.session.Session().client("s3", config=config)


def _file(bucket: str, one: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": f"{bucket}/{one['Key']}",
        "type": "file",
        "size": one["Size"],
        "etag": one.get("ETag", "").strip('"'),
        "LastModified": one.get("LastModified"),
    }


def _folder(name: str) -> dict[str, Any]:
    return {"name": name, "type": "directory", "size": 0}
