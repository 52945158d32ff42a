"""MLflow's generic Python models, as long as they are code and not a pickle: the folder ``mlflow_model``."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from include.inference.frames import mixed_frame
from include.inference.links import scores_of
from include.inference.optional import library
from include.inference.scorer import Row, Scorer
from include.specs.errors import FactoryError
from include.store.packages import Manifest

if TYPE_CHECKING:
    import pandas as pd

    from include.inference.scorer import Array

MODEL_FOLDER, DESCRIPTION = "mlflow_model", "MLmodel"
FLAVOUR, LOADER = "python_function", "mlflow.pyfunc.loaders.code_model"
PICKLED = (".pkl", ".pickle", ".cloudpickle", ".joblib", ".sav", ".dill")


class PyfuncScorer(Scorer):
    """A pyfunc that takes a DataFrame with the manifest's columns; one call at a time.

    It answers an array or a DataFrame: one column a class (found by ``<class>`` or ``probability_<class>`` where it has
    such names), the positive class alone, or the values.
    """

    name = "pyfunc"

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self._model, self._manifest = model, manifest
        self._lock = threading.Lock()  # the code is its author's: nobody knows whether threads may share it

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, device: str = "cpu") -> PyfuncScorer:
        """Load the model by MLflow: its code runs in this process.

        Raises:
            FactoryError: see `Scorer.open`; also where it would be unpickled.
        """
        place = folder / MODEL_FOLDER
        check_code(place)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
        sys.dont_write_bytecode = True  # a package whose files change is no longer what was registered
        pyfunc = library("mlflow.pyfunc", cls.name, "install mlflow-skinny where the model is adopted and served")
        try:
            return cls(pyfunc.load_model(str(place), suppress_warnings=True), manifest)
        except Exception as error:  # whatever the model's own code raises
            raise FactoryError(f"{place}: cannot be loaded ({type(error).__name__}: {error})") from error

    def score(self, rows: Sequence[Row]) -> Array:
        """Return what the model answers."""
        import numpy as np

        width = len(self._manifest.classes or ("value",))
        if not rows:
            return scores_of(np.empty((0, width)), self._manifest)
        with self._lock:
            answer = self._model.predict(self._frame(rows))
        return scores_of(_values(answer, self._manifest), self._manifest)

    def _frame(self, rows: Sequence[Row]) -> pd.DataFrame:
        """Return the rows in the types that MLflow's signatures know; what may be missing stays a float."""
        frame = mixed_frame(rows, self._manifest.features)
        for field in self._manifest.features:
            if field.whole and frame[field.name].notna().all():
                frame[field.name] = frame[field.name].astype("int64")
            elif field.type == "boolean" and frame[field.name].notna().all():
                frame[field.name] = frame[field.name].astype(bool)
            elif field.type == "datetime":
                frame[field.name] = frame[field.name].dt.tz_localize(None)
        return frame


def check_code(folder: Path) -> None:
    """Refuse an MLflow model that would be unpickled.

    Raises:
        FactoryError: with what to do instead.
    """
    file = folder / DESCRIPTION
    try:
        flavour = yaml.safe_load(file.read_text(encoding="utf-8"))["flavors"][FLAVOUR]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise FactoryError(f"{file}: describes no MLflow model with the flavour {FLAVOUR} ({error})") from error
    pickles = [path.name for path in sorted(folder.rglob("*")) if path.suffix in PICKLED]
    if flavour.get("python_model") or pickles:
        held = ", ".join(pickles) or flavour["python_model"]
        raise FactoryError(
            f"{folder}: holds a pickle ({held}), which can run any code when loaded; it was not loaded. Log it again "
            "as code: mlflow.pyfunc.log_model(python_model='model.py'), with mlflow.models.set_model in that file"
        )
    if flavour.get("loader_module") != LOADER or not flavour.get("model_code_path"):
        raise FactoryError(
            f"{file}: is loaded by {flavour.get('loader_module')}, which the factory does not know to be safe; adopt "
            "its native file, or log it again as code: mlflow.pyfunc.log_model(python_model='model.py')"
        )


def _values(answer: Any, manifest: Manifest) -> Any:
    """Return a pyfunc's answer as an array: of a DataFrame, the columns of the classes in the manifest's order."""
    import numpy as np

    if not hasattr(answer, "columns"):
        return np.asarray(answer, dtype=np.float64)
    names = [str(column) for column in answer.columns]
    for wanted in (
        [str(label) for label in manifest.classes or ()],
        [f"probability_{label}" for label in manifest.classes or ()],
    ):
        if wanted and set(wanted) <= set(names):
            return answer.to_numpy()[:, [names.index(name) for name in wanted]].astype(np.float64)
    return answer.to_numpy().astype(np.float64)
