"""The paths of the data plane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

_DEFAULT = {"/predict": "predict", "/predict/batch": "batch", "/explain": "explain", "/invocations": "invocations"}
_OF_MODEL = {("predict",): "predict", ("predict", "batch"): "batch", ("explain",): "explain"}
_VERBS = {"predict": "instances", "explain": "explain_instances"}
"""What stands behind the colon in ``/v1/models/{model}:predict``."""


@dataclass(frozen=True, slots=True)
class DataPath:
    """What a data-plane path means.

    Attributes:
        kind: the method of `DataPlane` that answers it.
        model: whom it asks, None for the default model.
    """

    kind: str
    model: str | None
    version: str | None = None


@lru_cache(maxsize=4096)
def data_path(path: str) -> DataPath | None:
    """Return what ``path`` means on the data plane, or None when the path is not its own."""
    if kind := _DEFAULT.get(path):
        return DataPath(kind, None)
    parts = path.split("/")
    if len(parts) < 4 or parts[0] or parts[2] != "models":
        return None
    if verb := _VERBS.get(parts[-1].partition(":")[2]):
        return _instances_path(parts, verb)
    if len(parts) == 4:
        return None
    model, rest, version = parts[3], parts[4:], None
    if rest[0] == "versions" and len(rest) >= 3:
        version, rest = rest[1], rest[2:]
    if parts[1] == "v1":
        if kind := _OF_MODEL.get(tuple(rest)):
            return DataPath(kind, model, version)
        if rest == ["feedback"] and version is None:
            return DataPath("feedback", model)
    if parts[1] == "v2" and rest == ["infer"]:
        return DataPath("infer", model, version)
    return None


def _instances_path(parts: list[str], kind: str) -> DataPath | None:
    """Return what ``/v1/models/{model}[/versions/{version}]:verb`` means."""
    last = parts[-1].partition(":")[0]
    if parts[1] != "v1":
        return None
    if len(parts) == 4:
        return DataPath(kind, last)
    return DataPath(kind, parts[3], last) if len(parts) == 6 and parts[4] == "versions" else None
