"""Turn a model package into an MLflow model: MLflow can load and serve it, and nothing in it is pickled.

The package's files lie in ``data/package`` as they are. MLflow's generic Python flavour names a loader module of
ours, which loads them by the same allow-list of types as the model server; MLflow's own scikit-learn flavour would take
the list from the artifact that it is meant to judge.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.inference.choice import Choice
from include.inference.package import open_package
from include.inference.runtimes import module_of
from include.registry.closure import needed_files
from include.registry.lineage import LIBRARY
from include.registry.pyfunc import answers
from include.store.packages import ESTIMATOR, Manifest, ModelPackage

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import Model, ModelSignature

PACKAGE_PATH = "data/package"
"""Where a package's files lie inside the MLflow model."""
CARD = "model_card.md"
LOADER = "include.registry.pyfunc"
REQUIREMENTS = (
    "mlflow", "numpy", "pandas", "pydantic", "pydantic-settings", "pyyaml", "scikit-learn", "scipy", "skops",
)  # fmt: skip
LIBRARIES = {
    "onnx": ["onnxruntime"],
    "onnx_tensors": ["onnxruntime"],
    "xgboost": ["xgboost"],
    "lightgbm": ["lightgbm"],
    "catboost": ["catboost"],
    "torchscript": ["torch"],
    "tensorflow": ["tensorflow"],
}
"""What each runtime imports beside `REQUIREMENTS`."""
SLIM = {"mlflow": "mlflow-skinny", "xgboost": "xgboost-cpu", "tensorflow": "tensorflow-cpu"}
COLUMN_TYPES = {"number": "double", "boolean": "boolean", "string": "string", "datetime": "datetime"}


def save_mlflow_model(package_folder: Path, target: Path, model: Model, card: str) -> None:
    """Write the package in ``package_folder`` as an MLflow model into the new folder ``target``.

    Args:
        package_folder: what `include.store.packages.save_package` wrote.
        target: folder to make.
        model: MLflow's description of the model, to which the flavour is added.
        card: the model card, kept beside it.

    Raises:
        PackageError: the package cannot be loaded, so it is not worth registering.
    """
    import mlflow.pyfunc

    package = open_package(package_folder)
    example = example_row(package.manifest)
    modules, libraries = _needs(package_folder)
    with tempfile.TemporaryDirectory(prefix="factory-") as scratch:
        data = Path(scratch) / "package"
        shutil.copytree(package_folder, data)
        mlflow.pyfunc.save_model(
            path=str(target),
            mlflow_model=model,
            loader_module=LOADER,
            data_path=str(data),
            code_paths=[str(_code(Path(scratch) / LIBRARY.name, modules))],
            pip_requirements=requirements(libraries),
            signature=signature(package, example),
            input_example=example,
        )
    (target / CARD).write_text(card, encoding="utf-8")


def example_row(manifest: Manifest) -> pd.DataFrame:
    """Return one row as a caller sends it, made of the examples in the manifest."""
    import pandas as pd

    values = {field.name: [_plain(field.type, field.example)] for field in manifest.features}
    return pd.DataFrame(values)


def signature(package: ModelPackage, example: pd.DataFrame) -> ModelSignature:
    """Return the columns that the model takes and gives.

    A column that may be empty, or that the model does not read, is optional for MLflow.
    """
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types import ColSpec, Schema

    columns = [
        ColSpec(COLUMN_TYPES[field.type], field.name, required=field.used and not field.nullable)
        for field in package.manifest.features
    ]
    outputs = infer_signature(model_output=answers(package, example)).outputs
    return ModelSignature(inputs=Schema(columns), outputs=outputs)


def requirements(libraries: Sequence[str] = ()) -> list[str]:
    """Return what has to be installed to load a package that needs ``libraries``, in the versions installed here."""
    return [_pinned(name) for name in (*REQUIREMENTS, *libraries)]


def _needs(package_folder: Path) -> tuple[list[str], list[str]]:
    """Return the modules of the house, and the libraries, that loading a package by MLflow imports."""
    if (package_folder / ESTIMATOR).is_file():
        import skops.io

        types = skops.io.get_untrusted_types(file=package_folder / ESTIMATOR)
        libraries = ["xgboost"] if any(name.startswith("xgboost.") for name in types) else []
        return [name.rpartition(".")[0] for name in types], libraries
    choice = Choice.load(package_folder)
    runtime = choice.runtime if choice else ""
    return [module_of(runtime)], LIBRARIES.get(runtime, [])


def _pinned(name: str) -> str:
    try:
        return f"{name}=={version(name)}"
    except PackageNotFoundError:
        slim = SLIM[name]  # a lean image has the same library under another name
        return f"{slim}=={version(slim)}"


def _plain(kind: str, example: Any) -> Any:
    """Return an example in its column's type; a column without one gets a plausible value."""
    import pandas as pd

    if kind == "number":
        return float(example if example is not None else 0)
    if kind == "boolean":
        return bool(example)
    if kind == "datetime":
        return pd.Timestamp(example if example is not None else 0).tz_localize(None)
    return str(example if example is not None else "")


def _code(target: Path, modules: Sequence[str]) -> Path:
    """Copy to ``target`` what the house's own modules among ``modules``, and the loader, are made of."""
    for file in needed_files([LOADER, *modules]):
        copy = target / file.relative_to(LIBRARY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return target
