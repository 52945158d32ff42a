"""Keep trying a service that is down for a while; after that, say so and say what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryError, Retrying, before_sleep_log, retry_if_exception_type, stop_after_delay, wait_exponential

from include.specs.errors import TemporarilyUnavailableError

T = TypeVar("T")
log = logging.getLogger(__name__)


def keep_trying(
    call: Callable[[], T], service: str, seconds: float, errors: tuple[type[BaseException], ...], fix: str
) -> T:
    """Return ``call()``, trying again while it raises one of ``errors``.

    Args:
        call: what to do.
        service: the service's name and address, for the message; never with a password.
        seconds: how long to keep trying.
        errors: exceptions that mean that the service is away for now.
        fix: what to do when it stays away.

    Raises:
        TemporarilyUnavailableError: it did not answer in time.
    """
    retrying = Retrying(
        stop=stop_after_delay(seconds),
        wait=wait_exponential(multiplier=0.5, max=8),
        retry=retry_if_exception_type(errors),
        before_sleep=before_sleep_log(log, logging.WARNING),
    )
    try:
        return retrying(call)
    except RetryError as error:
        cause = error.last_attempt.exception()
        raise TemporarilyUnavailableError(f"{service} did not answer for {seconds:g} s ({cause}); {fix}") from cause
