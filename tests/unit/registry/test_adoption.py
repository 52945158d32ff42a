"""Models from elsewhere: each form becomes a package that answers as the model did, and no pickle is ever loaded."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from include.inference.load import load_scorer
from include.registry.adoption.document import Adoption, read_document
from include.registry.adoption.package import Adopted, adopt_package, read_rows
from include.specs import FactoryError, SpecError

NAMES = ("a", "b", "c")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3))
SIGNAL = X[:, 0] * 2 + X[:, 1] + RNG.normal(size=200) / 4
TARGETS = {"binary": (SIGNAL > 0).astype(int), "multiclass": np.digitize(SIGNAL, [-1, 1]), "regression": SIGNAL}
CLASSES = {"binary": ("no", "yes"), "multiclass": ("low", "middle", "high"), "regression": None}
TASKS = tuple(TARGETS)


def wanted(task: str, **more: Any) -> Adoption:
    document = {"task": task, "target": "y", "features": dict.fromkeys(NAMES, "number"), "classes": CLASSES[task]}
    return Adoption.model_validate(document | more)


def adopt(source: Path, document: Adoption, **more: Any) -> Adopted:
    return adopt_package(source, document, source.parent / "package", "m", "adoption.test", **more)


def answers(source: Path, adopted: Adopted, rows: Any = None) -> np.ndarray:
    scorer = load_scorer(source.parent / "package", adopted.manifest)
    return scorer.score([tuple(row) for row in (X if rows is None else rows).tolist()])


def probabilities(estimator: Any, task: str, table: Any = X) -> np.ndarray:
    return estimator.predict(table) if task == "regression" else estimator.predict_proba(table)


def xgboost_model(task: str, folder: Path, suffix: str) -> tuple[Path, np.ndarray]:
    import xgboost as xgb

    kind = xgb.XGBRegressor if task == "regression" else xgb.XGBClassifier
    model = kind(n_estimators=8, max_depth=3, n_jobs=1).fit(X, TARGETS[task])
    model.save_model(folder / f"model{suffix}")
    return folder / f"model{suffix}", probabilities(model, task)


def lightgbm_model(task: str, folder: Path, suffix: str) -> tuple[Path, np.ndarray]:
    import lightgbm as lgb

    kind = lgb.LGBMRegressor if task == "regression" else lgb.LGBMClassifier
    model = kind(n_estimators=8, num_leaves=7, n_jobs=1, verbosity=-1).fit(X, TARGETS[task])
    model.booster_.save_model(folder / f"model{suffix}")
    return folder / f"model{suffix}", probabilities(model, task)


def catboost_model(task: str, folder: Path, suffix: str) -> tuple[Path, np.ndarray]:
    import catboost as cb

    kind = cb.CatBoostRegressor if task == "regression" else cb.CatBoostClassifier
    model = kind(iterations=8, depth=3, verbose=0, thread_count=1, allow_writing_files=False).fit(X, TARGETS[task])
    model.save_model(str(folder / f"model{suffix}"))
    return folder / f"model{suffix}", probabilities(model, task)


def sklearn_model(task: str) -> Any:
    return make_pipeline(StandardScaler(), LinearRegression() if task == "regression" else LogisticRegression()).fit(
        pd.DataFrame(X, columns=NAMES), TARGETS[task]
    )


def skops_model(task: str, folder: Path, suffix: str) -> tuple[Path, np.ndarray]:
    import skops.io

    skops.io.dump(sklearn_model(task), folder / f"model{suffix}")
    return folder / f"model{suffix}", probabilities(sklearn_model(task), task, pd.DataFrame(X, columns=NAMES))


def onnx_model(task: str, folder: Path, suffix: str) -> tuple[Path, np.ndarray]:
    """Write a graph as skl2onnx makes it when nobody tells it otherwise: a label, and a list of dictionaries."""
    from skl2onnx import to_onnx

    model = sklearn_model(task)
    (folder / f"model{suffix}").write_bytes(
        to_onnx(model.fit(X, TARGETS[task]), X[:1].astype(np.float32)).SerializeToString()
    )
    return folder / f"model{suffix}", probabilities(model, task)


MAKERS = {
    ".ubj": (xgboost_model, "xgboost"),
    ".json": (xgboost_model, "xgboost"),
    ".txt": (lightgbm_model, "lightgbm"),
    ".cbm": (catboost_model, "catboost"),
    ".skops": (skops_model, "sklearn"),
    ".onnx": (onnx_model, "onnx"),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("suffix", MAKERS)
def test_a_model_answers_as_it_did_where_it_was_trained(tmp_path: Path, task: str, suffix: str) -> None:
    make, runtime = MAKERS[suffix]
    source, expected = make(task, tmp_path, suffix)
    adopted = adopt(source, wanted(task))
    assert adopted.manifest.algorithm == runtime
    np.testing.assert_allclose(answers(source, adopted), expected, atol=1e-5)


def test_real_rows_with_expected_answers_are_held_against_the_model(tmp_path: Path) -> None:
    source, expected = lightgbm_model("binary", tmp_path, ".txt")
    table = pd.DataFrame(X, columns=NAMES).assign(expected=expected[:, 1])
    table.to_csv(tmp_path / "rows.csv", index=False)
    adopted = adopt(source, wanted("binary"), rows=read_rows(tmp_path / "rows.csv"))
    assert (adopted.rows, adopted.compared) == (200, 200)
    assert adopted.largest_difference < 1e-9
    assert [field.example for field in adopted.manifest.features] == pytest.approx(X[0].tolist())
    table["expected"] += 0.01
    table.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(FactoryError, match=r"differ by up to 0.01 .*more than the tolerance of 0.0001"):
        adopt_package(source, wanted("binary"), tmp_path / "again", "m", "r", rows=read_rows(tmp_path / "rows.csv"))


def test_the_models_own_order_of_columns_counts(tmp_path: Path) -> None:
    import lightgbm as lgb

    data = pd.DataFrame(X, columns=["b", "c", "a"])
    booster = lgb.LGBMRegressor(n_estimators=5, verbosity=-1).fit(data, SIGNAL).booster_
    booster.save_model(tmp_path / "model.txt")
    adopted = adopt(tmp_path / "model.txt", wanted("regression"))
    assert [field.name for field in adopted.manifest.features] == ["b", "c", "a"]
    with pytest.raises(FactoryError, match="has the columns 'c', which the manifest does not name"):
        document = wanted("regression", features={"a": "number", "b": "number", "d": "number"})
        adopt_package(tmp_path / "model.txt", document, tmp_path / "again", "m", "r")


def named_inputs_graph(file: Path) -> None:
    """Write a graph of one input a feature: a float, a whole number, a flag and a word."""
    from onnx import TensorProto, checker, helper, save

    kinds = {"age": TensorProto.FLOAT, "count": TensorProto.INT64, "vip": TensorProto.BOOL, "plan": TensorProto.STRING}
    casts = [helper.make_node("Cast", [name], [f"{name}_f"], to=TensorProto.FLOAT) for name in ("count", "vip")]
    encoded = helper.make_node(
        "LabelEncoder", ["plan"], ["plan_f"], domain="ai.onnx.ml", keys_strings=["basic", "pro"],
        values_floats=[1.0, 2.0], default_float=-1.0,
    )  # fmt: skip
    added = [
        helper.make_node("Sum", ["age", "count_f", "vip_f", "plan_f"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["positive"]),
    ]
    graph = helper.make_graph(
        [*casts, encoded, *added],
        "g",
        [helper.make_tensor_value_info(name, kind, [None, 1]) for name, kind in kinds.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("positive", "score")],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    checker.check_model(model)
    save(model, file)


NAMED = {"age": "number", "vip": "boolean", "plan": {"type": "string", "example": "pro"}, "count": "number"}


@pytest.mark.parametrize(("output", "link"), [("positive", "none"), ("score", "logit"), ("", "logit")])
def test_a_graph_with_one_input_a_feature_takes_words_and_whole_numbers(tmp_path: Path, output: str, link: str) -> None:
    source = tmp_path / "model.onnx"
    named_inputs_graph(source)
    adopted = adopt(source, wanted("binary", features=NAMED, output=output, link=link))
    fields = {field.name: field for field in adopted.manifest.features}
    assert list(fields) == ["age", "count", "vip", "plan"]
    assert [name for name, field in fields.items() if field.required] == ["age", "count", "vip"]
    assert [name for name, field in fields.items() if field.whole] == ["count"]
    scorer = load_scorer(tmp_path / "package", adopted.manifest)
    scores = scorer.score([(0.5, -2.0, 1.0, "pro"), (0.0, 0.0, 0.0, None), (0.0, 1.0, 0.0, "ünknown")])
    np.testing.assert_allclose(scores[:, 1], 1 / (1 + np.exp(-np.array([1.5, -1.0, 0.0]))), atol=1e-6)
    with pytest.raises(FactoryError, match="input 'count' takes int64 alone"):
        scorer.score([(0.5, 0.25, 1.0, "pro")])


def test_a_networks_logits_become_probabilities_in_the_graph_itself(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["logits"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", "columns"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path / "model.onnx")
    adopted = adopt(tmp_path / "model.onnx", wanted("multiclass", link="logit"))
    expected = np.exp(-X) / np.exp(-X).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers(tmp_path / "model.onnx", adopted), expected, atol=1e-6)
    assert all(field.required for field in adopted.manifest.features)
    with pytest.raises(FactoryError, match="are no probabilities that add up to 1; set link: logit"):
        adopt_package(tmp_path / "model.onnx", wanted("multiclass"), tmp_path / "again", "m", "r")


def test_classes_in_another_order_are_refused(tmp_path: Path) -> None:
    source, _ = catboost_model("binary", tmp_path, ".cbm")
    with pytest.raises(FactoryError, match=r"classes in the order \['0', '1'\]"):
        adopt(source, wanted("binary", classes=(1, 0)))


def test_a_wrong_task_shows_in_the_answers(tmp_path: Path) -> None:
    source, _ = lightgbm_model("multiclass", tmp_path, ".txt")
    with pytest.raises(FactoryError, match="probabilities of 4 classes; correct task or classes"):
        adopt(source, wanted("multiclass", classes=("a", "b", "c", "d")))


class Malice:
    """Makes a file where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize(
    "name", ["model.pkl", "model.joblib", "model.skops", "model.json", "model.onnx", "model.pt", "model"]
)
def test_a_pickle_is_refused_unread_whatever_its_name(tmp_path: Path, name: str) -> None:
    trace = tmp_path / "trace"
    (tmp_path / name).write_bytes(pickle.dumps(Malice(trace)))
    with pytest.raises(FactoryError, match=r"is a pickle, .*it was not loaded"):
        adopt(tmp_path / name, wanted("binary"))
    assert not trace.exists()


def test_a_torch_pickle_and_a_skops_file_of_unknown_types_are_refused_unread(tmp_path: Path) -> None:
    import zipfile

    import skops.io

    trace = tmp_path / "trace"
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Malice(trace)))
    with pytest.raises(FactoryError, match=r"a pickle of PyTorch .*write it by torch\.jit\.script"):
        adopt(tmp_path / "model.pt", wanted("binary"))
    skops.io.dump({"model": Malice(trace)}, tmp_path / "model.skops")
    with pytest.raises(FactoryError, match=r"not trusted: .*it was not loaded"):
        adopt_package(tmp_path / "model.skops", wanted("binary"), tmp_path / "again", "m", "r")
    assert not trace.exists()


CODE = """
import mlflow, numpy, pandas

class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        positive = 1 / (1 + numpy.exp(-model_input["a"].to_numpy() * 2))
        return pandas.DataFrame({"yes": positive, "no": 1 - positive})

mlflow.models.set_model(Model())
"""


def test_an_mlflow_model_of_code_is_served_by_its_code(tmp_path: Path) -> None:
    import mlflow.pyfunc

    (tmp_path / "code.py").write_text(CODE)
    mlflow.pyfunc.save_model(str(tmp_path / "model"), python_model=str(tmp_path / "code.py"), pip_requirements=[])
    adopted = adopt(tmp_path / "model", wanted("binary"))
    assert adopted.manifest.algorithm == "pyfunc"
    expected = 1 / (1 + np.exp(-2 * X[:, 0]))
    np.testing.assert_allclose(answers(tmp_path / "model", adopted)[:, 1], expected)
    assert not list((tmp_path / "package").rglob("__pycache__"))


def test_an_mlflow_model_that_is_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    import yaml

    trace, folder = tmp_path / "trace", tmp_path / "model"
    folder.mkdir()
    (folder / "python_model.pkl").write_bytes(pickle.dumps(Malice(trace)))
    flavour = {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": flavour}}))
    with pytest.raises(FactoryError, match=r"holds a pickle \(python_model\.pkl\).*Log it again as code"):
        adopt(folder, wanted("binary"))
    flavours = {"sklearn": {"pickled_model": "python_model.pkl"}}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavours}))
    with pytest.raises(FactoryError, match="is a pickle"):
        adopt_package(folder, wanted("binary"), tmp_path / "again", "m", "r")
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"onnx": {"data": "../../etc/passwd"}}}))
    with pytest.raises(FactoryError, match="names a file outside of it"):
        adopt_package(folder, wanted("binary"), tmp_path / "third", "m", "r")
    assert not trace.exists()


def test_a_graph_that_names_other_files_is_refused(tmp_path: Path) -> None:
    import onnx

    source, _ = onnx_model("regression", tmp_path, ".onnx")
    model = onnx.load(source)
    weights = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [1], [0.0])
    weights.ClearField("float_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../etc/passwd")
    model.graph.initializer.append(weights)
    source.write_bytes(model.SerializeToString())
    with pytest.raises(FactoryError, match=r"keeps weights in other files|is no ONNX model"):
        adopt(source, wanted("regression"))


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("task: binary\ntarget: y\nfeatures: {a: number}\n", "a binary model has two"),
        ("task: regression\ntarget: y\nfeatures: {a: numbr}\n", r"features\.0\.type.*'number'"),
        ("task: regression\ntarget: y\nfeatures: {a: number}\nthreshhold: 1\n", "threshhold"),
        ("task: [", "cannot be read"),
    ],
)
def test_a_document_that_says_what_cannot_be_is_refused(tmp_path: Path, document: str, complaint: str) -> None:
    (tmp_path / "manifest.yaml").write_text(document)
    with pytest.raises(SpecError, match=complaint):
        read_document(tmp_path / "manifest.yaml")
