"""Every form in which a model from elsewhere may come, and what is done with each: copied, checked, never unpickled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from include.inference.encoding import identity
from include.inference.optional import library
from include.inference.runtimes import catboost, lightgbm, pyfunc, tensorflow, torchscript, xgboost
from include.inference.tensors import whole_matrix
from include.registry.adoption import onnx_graph
from include.registry.adoption.document import Adoption
from include.registry.adoption.inputs import Input, Taken, in_order, tensors_of
from include.specs.errors import FactoryError
from include.store.packages import ESTIMATOR, Field, load_estimator, untrusted_types

Take = Callable[[Path, Path, Adoption], Taken]
"""Bring a source into a package's folder."""


def _xgboost(source: Path, folder: Path, wanted: Adoption) -> Taken:
    library("xgboost", "xgboost", "install it, or convert the model to ONNX")
    import xgboost as xgb

    try:
        booster = xgb.Booster(model_file=source)
    except (xgb.core.XGBoostError, UnicodeDecodeError) as error:
        raise FactoryError(f"{source}: XGBoost cannot read it; save it by booster.save_model('model.ubj')") from error
    fields = _numbers(wanted.fields(), source)
    names = booster.feature_names or [f"f{index}" for index in range(booster.num_features())]
    fields = in_order(fields, names, source)
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    if objective == "multi:softmax":
        booster.set_param({"objective": "multi:softprob"})  # the same trees; it answers all probabilities
    if (encoding := identity(fields)) is not None:
        encoding.save(folder)
    booster.save_model(folder / xgboost.MODEL_FILE)
    return Taken("xgboost", fields, f"xgboost {objective}")


def _lightgbm(source: Path, folder: Path, wanted: Adoption) -> Taken:
    library("lightgbm", "lightgbm", "install it, or convert the model to ONNX")
    import lightgbm as lgb

    if not source.read_bytes()[:4] == b"tree":
        raise FactoryError(f"{source}: is no text model of LightGBM; save it by booster.save_model('model.txt')")
    try:
        booster = lgb.Booster(model_file=str(source))
    except lgb.basic.LightGBMError as error:
        raise FactoryError(f"{source}: LightGBM cannot read it ({error})") from error
    fields = in_order(_numbers(wanted.fields(), source), booster.feature_name(), source)
    shutil.copyfile(source, folder / lightgbm.MODEL_FILE)
    return Taken("lightgbm", fields, "lightgbm")


def _catboost(source: Path, folder: Path, wanted: Adoption) -> Taken:
    library("catboost", "catboost", "install it, or convert the model to ONNX")
    import catboost as cb

    model = cb.CatBoost()
    try:
        model.load_model(str(source), format="cbm")
    except cb.CatBoostError as error:
        raise FactoryError(f"{source}: CatBoost cannot read it; save it by model.save_model('model.cbm')") from error
    fields = in_order(wanted.fields(), model.feature_names_, source)
    categories = set(model.get_cat_feature_indices())
    for index, field in enumerate(fields):
        if field.type == "datetime" or (field.type == "string") > (index in categories):
            raise FactoryError(
                f"{source}: column '{field.name}' is a number to the model, not a {field.type}; correct it"
            )
    named = [str(label) for label in getattr(model, "classes_", ())]
    _same_order(named, wanted, source)
    shutil.copyfile(source, folder / catboost.MODEL_FILE)
    return Taken("catboost", fields, "catboost")


def _skops(source: Path, folder: Path, wanted: Adoption) -> Taken:
    if refused := untrusted_types(source):
        raise FactoryError(
            f"{source}: holds types that are not trusted: {', '.join(refused)}; it was not loaded. Build the model of "
            "scikit-learn's and XGBoost's own classes, or export it to ONNX"
        )
    estimator = load_estimator(source)
    answers = "predict" if wanted.classes is None else "predict_proba"
    if not hasattr(estimator, answers):
        raise FactoryError(f"{source}: {type(estimator).__name__} has no {answers}; correct the manifest's task")
    names = [str(name) for name in getattr(estimator, "feature_names_in_", [field.name for field in wanted.fields()])]
    fields = in_order(wanted.fields(), names, source)
    _same_order([str(label) for label in getattr(estimator, "classes_", ())], wanted, source)
    shutil.copyfile(source, folder / ESTIMATOR)
    return Taken("sklearn", fields, "skops")


def _torchscript(source: Path, folder: Path, wanted: Adoption) -> Taken:
    torchscript.check_archive(source)
    fields = _numbers(wanted.fields(), source)
    whole_matrix(fields, link=wanted.link).save(folder)
    shutil.copyfile(source, folder / torchscript.MODEL_FILE)
    return Taken("torchscript", fields, "torchscript")


def _tensorflow(source: Path, folder: Path, wanted: Adoption) -> Taken:
    tensorflow.check_graph(source)
    tf = library("tensorflow", "tensorflow", tensorflow.REMEDY)
    described = tf.saved_model.load(str(source)).signatures
    if tensorflow.SIGNATURE not in described:
        raise FactoryError(f"{source}: has no signature '{tensorflow.SIGNATURE}'; save it by model.export(folder)")
    inputs = [
        Input(name, spec.dtype.name, len(spec.shape) < 2, spec.shape[1] if len(spec.shape) > 1 else None)
        for name, spec in described[tensorflow.SIGNATURE].structured_input_signature[1].items()
    ]
    tensors, fields = tensors_of(inputs, wanted.fields(), wanted, source)
    tensors.save(folder)
    shutil.copytree(source, folder / tensorflow.MODEL_FOLDER)
    return Taken("tensorflow", fields, "tensorflow")


def _pyfunc(source: Path, folder: Path, wanted: Adoption) -> Taken:
    pyfunc.check_code(source)
    shutil.copytree(source, folder / pyfunc.MODEL_FOLDER, ignore=shutil.ignore_patterns("__pycache__"))
    return Taken("pyfunc", _signed(source, wanted.fields()), "pyfunc")


def _signed(source: Path, fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """Return ``fields`` with what the model's signature asks of them: whole numbers stay whole."""
    import yaml

    signature = yaml.safe_load((source / pyfunc.DESCRIPTION).read_text(encoding="utf-8")).get("signature") or {}
    columns = {one.get("name"): one["type"] for one in json.loads(signature.get("inputs") or "[]") if "type" in one}
    strict = {name for name, kind in columns.items() if kind in ("long", "integer")}
    return tuple(
        field.model_copy(update={"whole": True, "required": True}) if field.name in strict else field
        for field in fields
    )


def _numbers(fields: tuple[Field, ...], source: Path) -> tuple[Field, ...]:
    """Return ``fields``.

    Raises:
        FactoryError: one is no number, and a matrix holds nothing else.
    """
    if other := [field.name for field in fields if field.type not in ("number", "boolean")]:
        raise FactoryError(
            f"{source}: takes a matrix of numbers, and {', '.join(other)} are none; encode them before the model, or "
            "export model and encoding together to ONNX"
        )
    return fields


def _same_order(named: list[str], wanted: Adoption, source: Path) -> None:
    """Refuse classes in another order than the model has them: every answer would be wrong."""
    ours = [str(label) for label in wanted.classes or ()]
    if named != ours and sorted(named) == sorted(ours):
        raise FactoryError(
            f"{source}: has the classes in the order {named}, the manifest says {ours}; correct the manifest"
        )


SUFFIXES: dict[str, Take] = {
    ".onnx": onnx_graph.take,
    ".ubj": _xgboost,
    ".json": _xgboost,
    ".txt": _lightgbm,
    ".lgb": _lightgbm,
    ".cbm": _catboost,
    ".cb": _catboost,
    ".skops": _skops,
    ".pt": _torchscript,
    ".pth": _torchscript,
}
FLAVOURS: dict[str, tuple[str, Take]] = {
    "onnx": ("data", onnx_graph.take),
    "xgboost": ("data", _xgboost),
    "lightgbm": ("data", _lightgbm),
    "catboost": ("data", _catboost),
    "sklearn": ("pickled_model", _skops),
    "tensorflow": ("saved_model_dir", _tensorflow),
}
"""MLflow's flavours: the entry of MLmodel that names the file, and how it is taken. The native one is preferred."""


def take(source: Path, folder: Path, wanted: Adoption) -> Taken:
    """Bring the model in ``source``, a file or a folder, into the package in ``folder``.

    Raises:
        FactoryError: it is of no known form, or a pickle: nothing of it was run.
    """
    if source.is_dir():
        if (source / pyfunc.DESCRIPTION).is_file():
            return _mlflow(source, folder, wanted)
        return _tensorflow(source, folder, wanted)
    if not source.is_file():
        raise FactoryError(
            f"{source}: there is no such file; name a model's file, its folder, or an MLflow model's URI"
        )
    _no_pickle(source)
    if (form := SUFFIXES.get(source.suffix.lower())) is None:
        raise FactoryError(f"{source}: is of no known form; give the file one of the endings {', '.join(SUFFIXES)}")
    return form(source, folder, wanted)


def _mlflow(source: Path, folder: Path, wanted: Adoption) -> Taken:
    import yaml

    flavours = yaml.safe_load((source / pyfunc.DESCRIPTION).read_text(encoding="utf-8"))["flavors"]
    for name, (key, form) in FLAVOURS.items():
        if not (described := flavours.get(name)) or not described.get(key):
            continue
        file = (source / described[key]).resolve()
        if not file.is_relative_to(source.resolve()):
            raise FactoryError(f"{source}: its description names a file outside of it; it was not read")
        if file.is_file():
            _no_pickle(file)
        return form(file, folder, wanted)
    if "pytorch" in flavours:
        raise FactoryError(
            f"{source}: is a pickle of PyTorch; write it by torch.jit.script(model).save('model.pt'), or export it to "
            "ONNX, and adopt that file"
        )
    return _pyfunc(source, folder, wanted)


def _no_pickle(file: Path) -> None:
    """Refuse a pickle by its name or its first bytes; a PyTorch archive is looked into later.

    Raises:
        FactoryError: with what to do instead.
    """
    with file.open("rb") as opened:
        head = opened.read(2)
    named = file.suffix.lower() in pyfunc.PICKLED
    # protocol 2 and later: the opcode PROTO and a small number; compressed joblib files go by their name
    if named or (head[:1] == b"\x80" and head[1:2] <= b"\x05"):
        raise FactoryError(
            f"{file}: is a pickle, which can run any code when loaded; it was not loaded. Save scikit-learn models "
            "by skops.io.dump(model, 'model.skops'), boosters by their own save_model, networks as TorchScript, and "
            "anything else as ONNX or as an MLflow model from code"
        )
