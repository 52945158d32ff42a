"""Rows that a version answered, as the monitors take them: typed features, outputs, and the truth where it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.features.prepared import Prepared, PreparedError
from include.inference.package import open_package
from include.specs.errors import FactoryError
from include.specs.training import Task
from include.store.artifacts import ArtifactError, ArtifactStore
from include.store.packages import Field, ModelPackage, PackageError, typed
from include.store.runs import RunFolder

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]
MAX_ROWS = 5000
"""Rows of a sample that the distribution tests and the report use; more would add time and no insight."""


class ReferenceMissingError(FactoryError):
    """What a version was trained on is gone, so nothing can be compared with it."""


@dataclass(frozen=True)
class Sample:
    """Some rows with what the model answered.

    Attributes:
        features: typed feature columns, shape (rows, fields).
        outputs: binary: probability of the positive class, shape (rows,); multiclass: shape (rows, classes);
            regression: shape (rows,). NaN where the log holds no usable output.
        target: class codes or values as float, shape (rows,); NaN where the truth is not known.
        invalid: column → rows whose value could not be read as the column's type.
    """

    features: pd.DataFrame
    outputs: Array
    target: Array
    invalid: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.features)

    def labelled(self) -> tuple[Array, Array]:
        """Return (target, outputs) of the rows whose truth and output are known; codes are int64."""
        known = ~np.isnan(self.target) & ~np.isnan(self.outputs.reshape(len(self), -1)).any(axis=1)
        return self.target[known], self.outputs[known]


@dataclass(frozen=True)
class Reference:
    """What a version was trained on and measured on.

    The held-out rows are what windows are compared with: the model had not seen them, its metrics were taken on them,
    and of ordered data they are the latest. The training rows say which categories and which ranges the model knows.

    Attributes:
        train: typed feature columns of the training rows.
        held_out: the held-out rows with the version's outputs on them.
        threshold: binary: probability from which the positive class is answered.
    """

    task: Task
    fields: tuple[Field, ...]
    classes: tuple[Any, ...] | None
    train: pd.DataFrame
    held_out: Sample
    threshold: float = 0.5

    @classmethod
    def of(cls, prepared: Prepared, package: ModelPackage) -> Reference:
        """Return the reference of ``package``, which was trained on ``prepared``.

        Columns that the model does not read are not watched: callers may leave them out.
        """
        outputs = (
            package.estimator.predict(prepared.test)
            if prepared.task == "regression"
            else package.probabilities(prepared.test)
        )
        held_out = Sample(
            features=prepared.test,
            outputs=np.asarray(outputs[:, 1] if prepared.task == "binary" else outputs, dtype=float),
            target=prepared.test_target.astype(float),
        )
        unused = {field.name for field in package.manifest.features if not field.used}
        fields = tuple(field for field in prepared.fields if field.name not in unused)
        return cls(prepared.task, fields, prepared.classes, prepared.train, held_out, package.manifest.threshold)

    @classmethod
    def load(cls, store: ArtifactStore, model: str, run: str) -> Reference:
        """Read the reference of the version that training run ``run`` made.

        Raises:
            ReferenceMissingError: the run's folder no longer holds the prepared data and the package.
        """
        folder = RunFolder(store, model, run)
        try:
            with (
                store.local(folder.path("prepare", "prepared")) as prepared,
                store.local(folder.path("search", "package")) as package,
            ):
                return cls.of(Prepared.load(Path(prepared)), open_package(Path(package)))
        except (ArtifactError, PackageError, PreparedError) as error:
            raise ReferenceMissingError(
                f"run '{run}' of model '{model}' no longer holds its data and model ({error}); train the model again"
            ) from error

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {_plain(label): code for code, label in enumerate(self.classes or ())}

    def sample(self, log: pd.DataFrame) -> Sample:
        """Return rows of the prediction log, as `include.store.prediction_log.PredictionLog.frame` gives them."""
        features, invalid = readable(log["features"].tolist(), self.fields)
        outputs = [self._output(output) for output in log["output"]]
        width = len(self.classes or ()) if self.task == "multiclass" else 1
        shaped = np.array(outputs, dtype=float).reshape(len(log), width)
        return Sample(
            features=features,
            outputs=shaped if self.task == "multiclass" else shaped[:, 0],
            target=np.array([self._truth(label) for label in log["label"]], dtype=float),
            invalid=invalid,
        )

    def _output(self, output: Mapping[str, Any]) -> Any:
        if self.classes is None:
            return output.get("label", np.nan)
        probabilities = output.get("probabilities") or {}
        row = [probabilities.get(str(label), np.nan) for label in self.classes]
        return row[1] if self.task == "binary" else row

    def _truth(self, label: Any) -> float:
        """Return a label as code or value; one that the model does not know counts as unknown."""
        if label is None:
            return np.nan
        if self.classes is not None:
            return self._codes.get(_plain(label), np.nan)
        try:
            return float(label)
        except (TypeError, ValueError):
            return np.nan


def _plain(label: Any) -> str:
    """Return a label in one spelling: JSON, a form and a data frame write 1, 1.0, true and "1" for the same thing."""
    if isinstance(label, bool):
        return str(int(label))
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)


def readable(rows: Sequence[Mapping[str, Any]], fields: Sequence[Field]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return logged rows as typed columns, and how many values of each column could not be read.

    A column that a caller left out, and a value of the wrong type, become missing values here; the monitors report
    them.
    """
    import pandas as pd

    data = pd.DataFrame.from_records(list(rows), columns=[field.name for field in fields])
    columns, invalid = {}, {}
    for one in fields:
        try:
            columns[one.name] = typed(data, [one])[one.name]
        except PackageError:
            columns[one.name] = typed(_coerced(data[one.name], one).to_frame(), [one])[one.name]
            invalid[one.name] = int((columns[one.name].isna() & data[one.name].notna()).sum())
    return pd.DataFrame(columns, index=data.index), invalid


def _coerced(values: pd.Series, kind: Field) -> pd.Series:
    """Return ``values`` with those left out that cannot be read as the column's type."""
    import pandas as pd

    if kind.type == "datetime":
        return pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
    return pd.to_numeric(values.where(~values.map(lambda value: isinstance(value, (list, dict)))), errors="coerce")


def thinned(frame: pd.DataFrame, rows: int = MAX_ROWS) -> pd.DataFrame:
    """Return at most ``rows`` random rows; the same ones at each call."""
    return frame if len(frame) <= rows else frame.sample(rows, random_state=0)
