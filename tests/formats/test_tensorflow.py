"""TensorFlow SavedModels by real TensorFlow: `make test-formats`, in an environment above the main one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.inference.links import OutputError
from include.inference.load import load_scorer
from include.inference.runtimes.tensorflow import check_graph
from include.inference.tensors import Tensor, Tensors
from include.specs import FactoryError
from include.specs.training import Task
from include.store.packages import save_manifest
from tests.unit.inference.scorer_contract import Case, ScorerContract
from tests.unit.inference.tables import NUMBERS, manifest

tf = pytest.importorskip("tensorflow")
ROWS = [tuple(row) for row in np.random.default_rng(0).normal(size=(30, len(NUMBERS))).tolist()]
NAMES = tuple(field.name for field in NUMBERS)
LINKS = {"binary": (1, "sigmoid"), "multiclass": (3, "softmax"), "regression": (1, None)}


def network(task: Task) -> Any:
    outputs, link = LINKS[task]
    layers = [tf.keras.Input((6,), name="x"), tf.keras.layers.Dense(8, "relu"), tf.keras.layers.Dense(outputs, link)]
    return tf.keras.Sequential(layers)


def package(folder: Path, task: Task, tensors: Tensors) -> Any:
    described = manifest(task, NUMBERS)
    save_manifest(folder, described)
    tensors.save(folder)
    (folder / "runtime.json").write_text('{"runtime": "tensorflow"}')
    return load_scorer(folder, described)


@pytest.fixture(scope="module", params=LINKS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    task = request.param
    folder, model = tmp_path_factory.mktemp("tensorflow"), network(task)
    model.export(str(folder / "saved_model"), verbose=False)
    name = next(
        iter(
            tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"].structured_input_signature[1]
        )
    )
    scorer = package(folder, task, Tensors(inputs=(Tensor(name=name, features=NAMES),)))

    def expected(rows: list[Any]) -> np.ndarray:
        outputs = model(np.array(rows, dtype=np.float32)).numpy().astype(float)
        if task == "binary":
            return np.hstack([1 - outputs, outputs])
        return outputs[:, 0] if task == "regression" else outputs

    return Case(scorer, manifest(task, NUMBERS), ROWS, expected, tolerance=1e-6)


class TestTensorflowRuntime(ScorerContract):
    @pytest.fixture
    def case(self, exported: Case) -> Case:
        return exported


class Named(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float64, "a"), tf.TensorSpec([None, 5], tf.float32, "b")])
    def serve(self, a: Any, b: Any) -> dict[str, Any]:
        score = tf.cast(a, tf.float32) - tf.reduce_sum(b, axis=1)
        return {"half": score / 2, "score": score}


NAMED = (Tensor(name="a", dtype="float64", features=NAMES[:1], flat=True), Tensor(name="b", features=NAMES[1:]))


class TestNamedInputsAndOutputs(ScorerContract):
    @pytest.fixture
    def case(self, tmp_path: Path) -> Case:
        module = Named()
        tf.saved_model.save(module, str(tmp_path / "saved_model"), signatures=module.serve)
        scorer = package(tmp_path, "binary", Tensors(inputs=NAMED, output="score", link="logit"))

        def expected(rows: list[Any]) -> np.ndarray:
            table = np.array(rows)
            positive = 1 / (1 + np.exp(table[:, 1:].sum(axis=1) - table[:, 0]))
            return np.stack([1 - positive, positive], axis=1)

        return Case(scorer, manifest("binary", NUMBERS), ROWS, expected, tolerance=1e-5)


def test_an_output_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    module = Named()
    tf.saved_model.save(module, str(tmp_path / "saved_model"), signatures=module.serve)
    scorer = package(tmp_path, "binary", Tensors(inputs=NAMED, output="scores"))
    with pytest.raises(OutputError, match=r"no output 'scores'; it has: (half, score|score, half)"):
        scorer.score(ROWS)


class Reads(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 6], tf.float32, "x")])
    def serve(self, x: Any) -> Any:
        tf.io.write_file("/tmp/never-written", "by a graph")
        return x[:, 0]


def test_a_graph_that_writes_a_file_is_refused_before_tensorflow_loads_it(tmp_path: Path) -> None:
    module = Reads()
    tf.saved_model.save(module, str(tmp_path / "saved_model"), signatures=module.serve)
    with pytest.raises(FactoryError, match=r"uses WriteFile, .*it was not loaded"):
        check_graph(tmp_path / "saved_model")


def test_a_folder_that_is_no_saved_model_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(FactoryError, match=r"holds no saved_model.pb; save the model by model.export"):
        check_graph(tmp_path)
