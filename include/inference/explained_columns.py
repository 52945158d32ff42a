"""The columns that an explained estimator takes: how rows become them, and which features each is made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.inference.explanation import Columns, NotExplainableError
from include.inference.scorer import Row
from include.store.packages import Manifest

if TYPE_CHECKING:
    from include.inference.encoding import Encoding
    from include.inference.scorer import Array


def columns_of(transform: Any, steps: Sequence[Any], manifest: Manifest) -> Columns:
    """Return the columns that a pipeline's fitted ``steps``, together ``transform``, make of rows; None without any.

    Raises:
        NotExplainableError: they cannot be traced back to features.
    """
    import numpy as np

    from include.inference.encoding import Encodable

    names = [field.name for field in manifest.features]
    if len(steps) == 1 and isinstance(steps[0], Encodable):
        mean = getattr(steps[0], "center_", None)
        return _encoded(steps[0].encoding(names), manifest, mean)
    if any(field.type not in ("number", "boolean") for field in manifest.features):
        raise NotExplainableError("explanations are not available for this model: its columns cannot be traced back")
    if transform is None:
        return Columns(lambda rows: np.array(rows, dtype=np.float64), own(len(names)))
    if any(type(step).__name__ not in ("SimpleImputer", "StandardScaler", "MinMaxScaler") for step in steps):
        raise NotExplainableError("explanations are not available for this model: its columns cannot be traced back")
    from include.inference.frames import numeric_frame

    def encode(rows: Sequence[Row]) -> Array:
        return np.asarray(transform.transform(numeric_frame(rows, manifest.features)))

    gaps = encode([(float("nan"),) * len(names)])
    if gaps.shape[1] != len(names):
        raise NotExplainableError("explanations are not available for this model: its columns cannot be traced back")
    mean = gaps[0] if getattr(steps[0], "strategy", None) == "mean" else None  # what it fills gaps with
    return Columns(encode, own(len(names)), mean)


def own(width: int) -> list[list[int]]:
    """Return the origins of columns that are the features themselves."""
    return [[index] for index in range(width)]


def _encoded(encoding: Encoding, manifest: Manifest, mean: Array | None) -> Columns:
    from include.inference.encoder import Encoder

    places = {field.name: index for index, field in enumerate(manifest.features)}
    origins = [[places[name] for name in names] for part in encoding.parts for names in part.sources()]
    return Columns(Encoder(encoding, manifest.features).encode, origins, mean)


def columns_of_file(folder: Path, manifest: Manifest) -> Columns:
    """Return the columns of a model that is kept in its library's own format."""
    import numpy as np

    from include.inference.encoding import ENCODER_FILE, Encoding

    if (folder / ENCODER_FILE).is_file():
        return _encoded(Encoding.load(folder, manifest.features), manifest, None)
    return Columns(lambda rows: np.array(rows, dtype=np.float64), own(len(manifest.features)))
