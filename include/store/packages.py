"""The model package: a fitted estimator and the manifest that says how to call it, without pickle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zipfile import BadZipFile

from pydantic import BaseModel, ConfigDict, ValidationError

from include.specs.errors import FactoryError
from include.specs.training import Task
from include.store.parser import PARSER
from include.store.times import Writing, times_of

if TYPE_CHECKING:
    import pandas as pd

MANIFEST, ESTIMATOR = "factory.json", "model.skops"
TRUSTED = (
    "include.features.",
    "include.inference.",
    "include.automl.",
    "sklearn.",
    "xgboost.",
    "lightgbm.",
    "catboost.",
    "collections.OrderedDict",
    "numpy.dtype",
)
"""Modules whose types a package may hold beside those that skops itself trusts; all else is refused before loading."""


class PackageError(FactoryError):
    """A model package is incomplete, or holds types that are not trusted."""


class Field(BaseModel):
    """One input column, as a caller sends it."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: Literal["number", "boolean", "string", "datetime"]
    nullable: bool = True
    """Whether training rows had missing values here. A missing value is accepted anywhere but where it is required, a
    missing column only where it is not used."""
    required: bool = False
    """Whether a missing value is refused: the model has no answer to it. Models trained by the factory always have."""
    whole: bool = False
    """Numbers: whether a fraction is refused, because the model takes whole numbers alone."""
    writing: Writing | None = None
    """Times: how training rows wrote them, where that was not ISO 8601. Both are read; what is neither counts as
    missing."""
    used: bool = True
    """Whether the model reads the column. One that it does not read may be left out of a request, and whatever is sent
    for it counts as missing."""
    example: Any = None
    typical: Any = None
    """The median of the training rows, or their most frequent value: what explanations start from."""


class Manifest(BaseModel):
    """What a caller must know of a model."""

    model_config = ConfigDict(frozen=True)

    model: str
    task: Task
    target: str
    features: tuple[Field, ...]
    classes: tuple[Any, ...] | None = None
    """Classifiers: the labels in the order of the probabilities; binary: the positive class is the second."""
    threshold: float = 0.5
    """Binary: probability from which the positive class is answered."""
    algorithm: str
    run: str
    """Run folder of the training run."""
    trained_at: datetime
    feature_service: str | None = None
    """Feast feature service that holds the features, for callers that send an entity's id instead of them."""
    ignored: tuple[str, ...] = ()
    """Columns of the training data that are no features (id, time, group, dropped ones): a caller may send them."""


@dataclass(frozen=True)
class ModelPackage:
    """A loaded package.

    Attributes:
        estimator: sklearn-compatible; takes a DataFrame with the manifest's columns. Classifiers were fitted on codes
            0 … n-1 into ``manifest.classes``, so ``predict_proba`` has one column a class in that order.
    """

    manifest: Manifest
    estimator: Any

    def frame(self, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
        """Return ``rows`` as the DataFrame that the estimator was fitted on: columns, order and types."""
        import pandas as pd

        data = pd.DataFrame.from_records(list(rows), columns=[field.name for field in self.manifest.features])
        return typed(data, self.manifest.features)

    def probabilities(self, frame: pd.DataFrame) -> Any:
        """Return class probabilities, shape (rows, classes). Classifiers only."""
        return self.estimator.predict_proba(frame)

    def predict(self, frame: pd.DataFrame) -> list[dict[str, Any]]:
        """Return one JSON-ready output a row: ``label``, and ``probabilities`` by class for classifiers."""
        classes = self.manifest.classes
        if classes is None:
            return [{"label": float(value)} for value in self.estimator.predict(frame)]
        probabilities = self.probabilities(frame)
        codes = (
            (probabilities[:, 1] >= self.manifest.threshold).astype(int)
            if self.manifest.task == "binary"
            else probabilities.argmax(axis=1)
        )
        names = [str(label) for label in classes]
        return [
            {"label": classes[code], "probabilities": dict(zip(names, map(float, row), strict=True))}
            for code, row in zip(codes, probabilities, strict=True)
        ]


def typed(data: pd.DataFrame, fields: Sequence[Field]) -> pd.DataFrame:
    """Return the columns of ``fields`` in order, with one dtype a type.

    number and boolean → float64, string → object of str or None, datetime (where it is text ISO 8601, or
    as the field says) → datetime64[ns, UTC]. A column that is not used comes out missing, and may be absent.

    Raises:
        PackageError: a value cannot be read as its column's type; the message names column and value.
    """
    import numpy as np
    import pandas as pd

    columns: dict[str, Any] = {}
    for field in fields:
        values = data[field.name] if field.used else pd.Series(None, index=data.index, dtype=object)
        try:
            if field.type in ("number", "boolean"):
                plain = values.dtype == np.float64  # quick: of wide tables each column counts
                columns[field.name] = values if plain else pd.to_numeric(values).astype("float64")
            elif field.writing is not None:
                columns[field.name] = times_of(values, field.writing)
            elif field.type == "datetime":
                columns[field.name] = pd.to_datetime(values, utc=True, format="ISO8601").astype("datetime64[ns, UTC]")
            else:
                text = pd.api.types.infer_dtype(values, skipna=True) == "string"
                written = values.astype(object) if text else values.astype(object).map(str)
                columns[field.name] = pd.Series(
                    np.where(values.notna(), written, None), index=values.index, dtype=object
                )
        except (ValueError, TypeError) as error:
            raise PackageError(f"column '{field.name}' is not a {field.type}: {error}") from error
    return pd.DataFrame(columns, index=data.index)


def save_package(folder: Path, package: ModelPackage) -> None:
    """Write ``package`` into ``folder``: the estimator by skops (no pickle), the manifest as JSON."""
    save_estimator(folder / ESTIMATOR, package.estimator)
    save_manifest(folder, package.manifest)


def save_estimator(file: Path, estimator: Any) -> None:
    """Write a fitted estimator by skops."""
    import skops.io

    file.parent.mkdir(parents=True, exist_ok=True)
    skops.io.dump(estimator, file)


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of the package in ``folder``."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")


def load_manifest(folder: Path) -> Manifest:
    """Return the manifest of the package in ``folder``.

    Raises:
        PackageError: there is none, or it is damaged.
    """
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise PackageError(f"{folder}: no valid {MANIFEST} ({error}); train and register the model again") from error


def untrusted_types(file: Path) -> list[str]:
    """Return the types in a skops file that neither skops nor this house trusts.

    Raises:
        PackageError: it is no skops file, or a damaged one.
    """
    import skops.io

    try:
        types = skops.io.get_untrusted_types(file=file)
    except (BadZipFile, KeyError, ValueError) as error:
        raise PackageError(f"{file}: is damaged ({error}); train and register the model again") from error
    return [name for name in types if not name.startswith(TRUSTED)]


def load_package(folder: Path) -> ModelPackage:
    """Load the package in ``folder``.

    Raises:
        PackageError: it is incomplete, or holds types that are not trusted; nothing of it was run.
    """
    file = folder / ESTIMATOR
    manifest = load_manifest(folder)
    if not file.is_file():
        raise PackageError(f"{file}: missing; train and register the model again")
    if refused := untrusted_types(file):
        raise PackageError(f"{file}: holds types that are not trusted: {', '.join(refused)}; it was not loaded")
    return ModelPackage(manifest, load_estimator(file))


def load_estimator(file: Path) -> Any:
    """Load a skops file whose types :func:`untrusted_types` has let pass, one at a time in a process."""
    import skops.io

    with PARSER:
        return skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
