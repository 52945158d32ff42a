"""The contract of a place that the prediction log goes to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from include.specs.errors import FactoryError
from include.store.log_records import Record


class RefusedError(FactoryError):
    """What a record holds cannot be kept; the message does not repeat it."""


class Sink(ABC):
    """Takes records for good, in batches; taking one again changes nothing."""

    @abstractmethod
    def commit(self, records: Sequence[Record]) -> None:
        """Keep all of ``records``; when it returns they are durable.

        Raises:
            RefusedError: one of them cannot be kept; then none of them is.
            one of `include.store.database.UNAVAILABLE`: try again later; some of them may have been kept.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""

    def write(self, records: Sequence[Record]) -> list[tuple[Record, str]]:
        """Commit ``records`` but for those that are refused; return these, each with the reason.

        Raises:
            one of `include.store.database.UNAVAILABLE`: try again later.
        """
        if not records:
            return []
        try:
            self.commit(records)
        except RefusedError as error:
            if len(records) == 1:
                return [(records[0], str(error))]
            middle = len(records) // 2
            return [*self.write(records[:middle]), *self.write(records[middle:])]
        return []
