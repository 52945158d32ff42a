"""TorchScript by real PyTorch: `make test-formats`, in an environment above the main one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.inference.load import load_scorer
from include.inference.runtimes.torchscript import check_archive
from include.inference.tensors import Tensor, Tensors, whole_matrix
from include.specs import FactoryError
from include.specs.training import Task
from include.store.packages import save_manifest
from tests.unit.inference.scorer_contract import Case, ScorerContract
from tests.unit.inference.tables import NUMBERS, manifest

torch = pytest.importorskip("torch")
ROWS = [tuple(row) for row in np.random.default_rng(0).normal(size=(30, len(NUMBERS))).tolist()]


class Network(torch.nn.Module):
    def __init__(self, outputs: int, link: str = "none") -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, outputs))
        self.link = link

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layers(x)
        if self.link == "softmax":
            return torch.softmax(y, 1)
        return torch.sigmoid(y)[:, 0] if self.link == "sigmoid" else y


class TwoInputs(torch.nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.sigmoid(left.sum(1) - right[:, 0]), left


def package(folder: Path, module: Any, task: Task, tensors: Tensors) -> Any:
    torch.jit.script(module).save(str(folder / "model.pt"))
    described = manifest(task, NUMBERS)
    save_manifest(folder, described)
    tensors.save(folder)
    (folder / "runtime.json").write_text('{"runtime": "torchscript"}')
    return load_scorer(folder, described)


def plain(module: Any) -> Callable[[Any], np.ndarray]:
    return lambda rows: module(torch.tensor(np.array(rows), dtype=torch.float32)).detach().double().numpy()


KINDS = {
    "probability": ("binary", Network(1, "sigmoid"), "none", lambda y: np.stack([1 - y, y], axis=1)),
    "logit": ("binary", Network(1), "logit", lambda y: np.stack([1 / (1 + np.exp(y[:, 0])), 1 / (1 + np.exp(-y[:, 0]))], 1)),
    "softmax": ("multiclass", Network(3, "softmax"), "none", lambda y: y),
    "logits": ("multiclass", Network(3), "logit", lambda y: np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)),
    "value": ("regression", Network(1), "none", lambda y: y[:, 0]),
}  # fmt: skip


class TestTorchScriptRuntime(ScorerContract):
    @pytest.fixture(params=KINDS)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        task, module, link, scores = KINDS[request.param]
        scorer = package(tmp_path, module, task, whole_matrix(NUMBERS, link=link))
        answer = plain(module)

        def expected(rows: list[Any]) -> np.ndarray:
            return scores(answer(rows))

        return Case(scorer, manifest(task, NUMBERS), ROWS, expected, tolerance=1e-6)


class TestSeveralInputs(ScorerContract):
    @pytest.fixture
    def case(self, tmp_path: Path) -> Case:
        names = [field.name for field in NUMBERS]
        left, right = Tensor(name="left", features=names[2:]), Tensor(name="right", features=names[:1])
        scorer = package(tmp_path, TwoInputs(), "binary", Tensors(inputs=(left, right)))

        def expected(rows: list[Any]) -> np.ndarray:
            table = np.array(rows)
            positive = 1 / (1 + np.exp(table[:, 0] - table[:, 2:].sum(axis=1)))
            return np.stack([1 - positive, positive], axis=1)

        return Case(scorer, manifest("binary", NUMBERS), ROWS, expected, tolerance=1e-6)


class WritesAFile(torch.nn.Module):
    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = file

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x[:, 0]) + torch.from_file(self.file, True, 1).sum() * 0


def test_a_program_that_writes_a_file_is_refused_before_pytorch_reads_it(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    torch.jit.script(WritesAFile(str(trace))).save(str(tmp_path / "model.pt"))
    with pytest.raises(FactoryError, match=r"uses torch.from_file, .*it was not loaded"):
        check_archive(tmp_path / "model.pt")
    torch.jit.load(tmp_path / "model.pt")(torch.zeros(1, 6))
    assert trace.exists(), "without the check, the program would have written"


class Malice:
    def __init__(self, file: str) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.file),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_refused_unread(tmp_path: Path, zipped: bool) -> None:
    trace = tmp_path / "trace"
    torch.save(Malice(str(trace)), tmp_path / "model.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(FactoryError, match=r"torch\.jit\.script"):
        check_archive(tmp_path / "model.pt")
    assert not trace.exists()


def test_a_pickle_inside_of_an_archive_makes_no_object_of_its_own(tmp_path: Path) -> None:
    """PyTorch's own unpickler of TorchScript archives calls no function that the pickle names."""
    import pickle
    import zipfile

    trace = tmp_path / "trace"
    good, bad = tmp_path / "good.pt", tmp_path / "model.pt"
    torch.jit.script(Network(1)).save(str(good))
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            malicious = name.endswith(("/data.pkl", "/constants.pkl"))
            target.writestr(name, pickle.dumps(Malice(str(trace)), protocol=2) if malicious else source.read(name))
    described = manifest("binary", NUMBERS)
    save_manifest(tmp_path, described)
    whole_matrix(NUMBERS).save(tmp_path)
    (tmp_path / "runtime.json").write_text('{"runtime": "torchscript"}')
    with pytest.raises(FactoryError, match="PyTorch cannot load it"):
        load_scorer(tmp_path, described)
    assert not trace.exists()


def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    package(tmp_path, Network(1), "regression", whole_matrix(NUMBERS))
    with pytest.raises(FactoryError, match="cannot load it on 'cuda'"):
        load_scorer(tmp_path, manifest("regression", NUMBERS), "cuda")
