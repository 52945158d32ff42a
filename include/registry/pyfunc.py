"""How MLflow itself loads a registered version: ``mlflow models serve`` and ``mlflow.pyfunc.load_model``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.inference.package import open_package
from include.specs.errors import FactoryError
from include.store.packages import ModelPackage

if TYPE_CHECKING:
    import pandas as pd


class PyfuncModel:
    """A package behind MLflow's interface: rows in, one row of answers out for each.

    The answer has a column ``label`` (the label itself, never a code) and, for classifiers, a column
    ``probability_<class>`` for each class.
    """

    def __init__(self, package: ModelPackage) -> None:
        self._package = package

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return the answers to ``model_input``, which needs the columns that the model reads; ``params`` are not used.

        Raises:
            FactoryError: columns are missing.
        """
        names = [field.name for field in self._package.manifest.features if field.used]
        if missing := [name for name in names if name not in model_input.columns]:
            raise FactoryError(f"columns are missing: {', '.join(missing)}; the model needs {', '.join(names)}")
        return answers(self._package, model_input)


def answers(package: ModelPackage, rows: pd.DataFrame) -> pd.DataFrame:
    """Return what ``package`` answers to ``rows``, one column an output."""
    import pandas as pd

    from include.store.packages import typed

    outputs = package.predict(typed(rows, package.manifest.features))
    return pd.DataFrame(
        [
            {"label": output["label"]}
            | {f"probability_{name}": value for name, value in output.get("probabilities", {}).items()}
            for output in outputs
        ],
        index=rows.index,
    )


def _load_pyfunc(path: str) -> PyfuncModel:
    """Load the package at ``path``; MLflow calls this by name. Types that the house does not trust are refused."""
    return PyfuncModel(open_package(Path(path)))
