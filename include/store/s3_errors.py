"""What went wrong with S3, in words that say what to do; never with a key or a token."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from boto3.exceptions import Boto3Error
from botocore import exceptions as boto
from s3transfer.exceptions import RetriesExceededError

from include.store.filesystems import AwayError, RefusedError

ABSENT = {"NoSuchKey", "NoSuchVersion", "404", "NotFound"}
AWAY = {
    "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "RequestTimeoutException", "Throttling",
    "ThrottlingException", "TooManyRequests", "BandwidthLimitExceeded", "OperationAborted", "BadDigest",
    "XAmzContentSHA256Mismatch", "IncompleteBody",
}  # fmt: skip
_UNREACHED = (
    boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError, boto.ResponseStreamingError,
    boto.FlexibleChecksumError,
)  # fmt: skip
_CREDENTIALS = "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of this machine or pod"
_REGION = "the bucket is in another region; set AWS_DEFAULT_REGION to it"
_EXPIRED = "the credentials have expired; get new ones (AWS_SESSION_TOKEN), or use a role, which renews them itself"
_SAYS = {
    "NoSuchBucket": "there is no such bucket; make it, or correct its name in the URI",
    "InvalidBucketName": "this is no name of a bucket; write the URI as s3://bucket/prefix",
    "InvalidAccessKeyId": f"the access key is not known there; {_CREDENTIALS}, or AWS_ENDPOINT_URL",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key; correct AWS_SECRET_ACCESS_KEY",
    "InvalidToken": "the session token is not valid; correct or remove AWS_SESSION_TOKEN",
    "InvalidClientTokenId": f"the access key is not known there; {_CREDENTIALS}",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "RequestTimeTooSkewed": "the clock of this machine is more than 15 minutes off; set it by NTP",
    "AccessDenied": (
        "the credentials may not do this; grant them s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and "
        "s3:DeleteObject below the prefix"
    ),
    "AllAccessDisabled": "the bucket is closed to everybody; ask its owner",
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "QuotaExceeded": "the quota of the user or bucket is used up; raise it, or remove old runs",
    "EntityTooLarge": "the object is larger than the server takes; raise its limit",
}


@contextmanager
def told(bucket: str, key: str, endpoint: str, operation: str) -> Iterator[None]:
    """Raise what boto3 raises in the block as FileNotFoundError, AwayError or RefusedError.

    Args:
        bucket: the bucket that is asked.
        key: the object, or the prefix, for the message of FileNotFoundError.
        endpoint: address of the server, for the message.
        operation: what was tried, such as ``read``.
    """
    try:
        yield
    except (boto.BotoCoreError, boto.ClientError, Boto3Error, RetriesExceededError) as error:
        raise translated(error, bucket, key, endpoint, operation) from error


def translated(error: Exception, bucket: str, key: str, endpoint: str, operation: str) -> OSError:
    """Return what to raise in the place of boto3's ``error``; see `told`."""
    if isinstance(error, RetriesExceededError):
        error = error.last_exception
    elif isinstance(error, Boto3Error) and isinstance(error.__context__, boto.ClientError):
        error = error.__context__  # what a transfer wraps says less than what it wraps
    place = f"cannot {operation} s3://{bucket} at {endpoint}"
    if isinstance(error, boto.ClientError):
        return _answered(error.response, place, f"s3://{bucket}/{key}")
    if isinstance(error, boto.SSLError):
        return RefusedError(f"{place}: its certificate is not trusted; name its authority's PEM file by AWS_CA_BUNDLE")
    if isinstance(error, boto.ProxyConnectionError):
        return AwayError(f"{place}: the proxy does not answer; correct HTTPS_PROXY or NO_PROXY")
    if isinstance(error, _UNREACHED):
        return AwayError(f"{place}: {_short(error)}")
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError)):
        return RefusedError(
            f"{place}: there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role"
        )
    if isinstance(error, (boto.CredentialRetrievalError, boto.MetadataRetrievalError)):
        return AwayError(f"{place}: the role's credentials cannot be had: {_short(error)}")
    return RefusedError(f"{place}: {_short(error)}")


def _answered(response: Any, place: str, path: str) -> OSError:
    """Return the error of an answer that S3 gave."""
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in ABSENT:
        return FileNotFoundError(errno.ENOENT, "there is no such object", path)
    if code in AWAY or status in (429, 500, 502, 503, 504):
        return AwayError(f"{place}: it says {code or status}")
    if code in ("", "403", "Forbidden"):
        code = "AccessDenied"
    return RefusedError(f"{place}: {_SAYS.get(code) or response['Error'].get('Message') or code} ({code})")


def _short(error: Exception) -> str:
    """Return the first line of botocore's text, without the URL of the request and what may be in it."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text.partition(' URL: "')[0] if ' URL: "' in text else text
