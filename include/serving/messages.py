"""The bodies of the data plane, decoded by msgspec: what a caller sends to predict, and to tell the truth later."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec

from include.serving.errors import ServingError

T = TypeVar("T")
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""An id that a caller chooses: 1 to 64 characters, none of them a control character."""
RewardName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""What a reward measures, such as ``revenue``."""


class Instance(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One row to predict: by its features, or by the key of an entity whose features are looked up.

    ``explain`` asks for the answer's explanation too.
    """

    features: dict[str, Any] | None = None
    entity: dict[str, str | int] | None = None
    id: Identifier | None = None
    event_time: str | None = None
    explain: bool = False


class Batch(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Rows to predict together; ``explain`` asks for the explanation of each."""

    instances: list[Instance]
    explain: bool = False


class LabelOf(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The truth about one prediction."""

    id: Identifier
    label: str | int | float | bool
    observed_at: str | None = None


class RewardOf(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What one prediction brought; rewards of several names may belong to one prediction."""

    id: Identifier
    reward: float
    name: RewardName = "reward"
    observed_at: str | None = None


class Feedback(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Labels and rewards that have become known."""

    labels: list[LabelOf] = []
    rewards: list[RewardOf] = []


INSTANCE = msgspec.json.Decoder(Instance)
BATCH = msgspec.json.Decoder(Batch)
FEEDBACK = msgspec.json.Decoder(Feedback)
ENCODER = msgspec.json.Encoder()


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Return ``body`` as the decoder's type.

    Raises:
        ServingError: 400 for what is no JSON, 422 for JSON of another shape.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise shape_error(error) from error
    except RecursionError as error:
        raise ServingError(400, "malformed_json", "the body is nested too deeply") from error
    except ValueError as error:
        hint = "JSON has no NaN and no Infinity; send null for a missing value"
        raise ServingError(400, "malformed_json", f"the body is not valid JSON ({error}); {hint}") from error


def shape_error(error: msgspec.ValidationError) -> ServingError:
    """Return the 422 for a body that is well formed but not what was expected."""
    message, _, path = str(error).partition(" - at `$")
    detail = {"where": path.rstrip("`").lstrip(".") or "body", "message": message}
    return ServingError(422, "invalid_request", "the body has another shape than expected", [detail])


def parse_time(text: str | None, where: str, default: datetime) -> datetime:
    """Return an ISO 8601 time as an aware one, UTC where it names no zone; ``default`` when there is none.

    Raises:
        ServingError: 422, it is no time.
    """
    if text is None:
        return default
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        detail = {"where": where, "message": "not an ISO 8601 time such as 2025-03-01T12:00:00Z"}
        raise ServingError(422, "invalid_request", "a time cannot be read", [detail]) from error
