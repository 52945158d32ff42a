"""Which file system answers a URI: fsspec's own, and for ``s3://`` the one on boto3."""

from __future__ import annotations

import fsspec
from fsspec.core import url_to_fs

# s3fs, which fsspec would take, needs other versions of botocore than boto3
fsspec.register_implementation("s3", "include.store.s3.S3FileSystem", clobber=True)


class RefusedError(OSError):
    """The store refused; asking again would not help."""


class AwayError(RefusedError):
    """The store did not answer, or answered that it cannot now."""


def file_system_of(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Return the file system of ``uri``, and the path in it.

    Raises:
        ImportError: the package of this kind of URI is not installed.
        ValueError: there is no such kind of URI.
        OSError: the client cannot be made, as of an endpoint that is no URL.
    """
    found: tuple[fsspec.AbstractFileSystem, str] = url_to_fs(uri)
    return found
