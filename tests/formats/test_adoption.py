"""TorchScript archives and SavedModels on their way into packages, by real PyTorch and TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.inference.load import load_scorer
from include.registry.adoption.package import Adopted
from include.specs import FactoryError
from tests.unit.registry.test_adoption import NAMES, X, adopt, wanted


def answers(source: Path, adopted: Adopted) -> np.ndarray:
    return load_scorer(source.parent / "package", adopted.manifest).score([tuple(row) for row in X.tolist()])


def test_a_torchscript_archive_becomes_a_package(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 1))
    torch.jit.script(module).save(str(tmp_path / "model.pt"))
    adopted = adopt(tmp_path / "model.pt", wanted("binary", link="logit"))
    logits = module(torch.tensor(X, dtype=torch.float32)).detach().double().numpy()[:, 0]
    np.testing.assert_allclose(answers(tmp_path / "model.pt", adopted)[:, 1], 1 / (1 + np.exp(-logits)), atol=1e-6)
    assert [field.name for field in adopted.manifest.features if field.required] == list(NAMES)


def test_a_pickle_of_torch_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(3, 1), tmp_path / "model.pt")
    with pytest.raises(FactoryError, match=r"is a pickle of PyTorch"):
        adopt(tmp_path / "model.pt", wanted("binary"))


@pytest.mark.parametrize("logged", [False, True], ids=["folder", "mlflow"])
def test_a_saved_model_becomes_a_package(tmp_path: Path, logged: bool) -> None:
    tf = pytest.importorskip("tensorflow")

    class Network(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "rows")])
        def serve(self, rows: Any) -> Any:
            return {"probabilities": tf.nn.softmax(rows, axis=1)}

    module, source = Network(), tmp_path / "source"
    if logged:
        import mlflow.tensorflow

        kept = {"signatures": module.serve}
        mlflow.tensorflow.save_model(module, str(source), saved_model_kwargs=kept, pip_requirements=[])
    else:
        tf.saved_model.save(module, str(source), signatures=module.serve)
    adopted = adopt(source, wanted("multiclass"))
    expected = np.exp(X) / np.exp(X).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers(source, adopted), expected, atol=1e-6)
    assert adopted.manifest.algorithm == "tensorflow"
