"""PyTorch's TorchScript: a program that PyTorch runs without Python; ``model.pt`` and ``tensors.json``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from include.inference.links import scores_of
from include.inference.optional import library
from include.inference.scorer import Row, Scorer
from include.inference.tensors import TensorEncoder, Tensors
from include.specs.errors import FactoryError
from include.store.packages import Manifest

if TYPE_CHECKING:
    from include.inference.scorer import Array

MODEL_FILE = "model.pt"
REMEDY = "install it (the build for CPUs is enough) where models are adopted and served, or convert it to ONNX"
_UNSAFE = re.compile(rb"\btorch\.(from_file|save|load)\b|\bops\.(?!prim\b|prims\b|aten\b)\w+")
"""What a TorchScript program may say to open files, or to call an operator that a native library brought."""


class TorchScriptScorer(Scorer):
    """A TorchScript module whose ``forward`` takes the tensors in order and answers one, bound to one thread."""

    name = "torchscript"

    def __init__(self, module: Any, torch: Any, tensors: Tensors, manifest: Manifest, device: str) -> None:
        self._module, self._torch, self._device = module, torch, device
        self._encoder = TensorEncoder(tensors, manifest.features)
        self._manifest, self._link = manifest, tensors.link

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, device: str = "cpu") -> TorchScriptScorer:
        """Load ``model.pt``; a pickle, and a program that speaks of files, is refused before PyTorch reads it.

        Raises:
            FactoryError: see `Scorer.open`.
        """
        file = folder / MODEL_FILE
        check_archive(file)
        tensors = Tensors.load(folder)
        torch = library("torch", cls.name, REMEDY)
        torch.set_num_threads(1)
        try:
            module = torch.jit.load(str(file), map_location=device).eval()
        except (RuntimeError, ValueError) as error:
            raise FactoryError(
                f"{file}: PyTorch cannot load it on '{device}' ({error}); adopt the model again"
            ) from error
        return cls(module, torch, tensors, manifest, device)

    def score(self, rows: Sequence[Row]) -> Array:
        """Return what the module answers."""
        torch = self._torch
        with torch.inference_mode():
            inputs = [torch.from_numpy(array).to(self._device) for array in self._encoder.encode(rows)]
            output = self._module(*inputs)
            first = output[0] if isinstance(output, (tuple, list)) else output
            return scores_of(first.double().cpu().numpy(), self._manifest, self._link)


def check_archive(file: Path) -> None:
    """Refuse what is not a TorchScript archive, and one whose program speaks of files or of native operators.

    PyTorch reads the tensors of an archive by an unpickler of its own, which makes nothing but tensors and TorchScript
    values. The program in it is another matter: it can call every operator of PyTorch, and a few of them open files.

    Raises:
        FactoryError: with what to do instead.
    """
    try:
        with ZipFile(file) as archive:
            programs = [name for name in archive.namelist() if "/code/" in name and name.endswith(".py")]
            said = sorted(
                {found.group().decode() for name in programs for found in _UNSAFE.finditer(archive.read(name))}
            )
    except (OSError, BadZipFile) as error:
        raise FactoryError(
            f"{file}: is no TorchScript archive ({error}); write it by torch.jit.script(model).save(file), or use ONNX"
        ) from error
    if not programs:
        raise FactoryError(
            f"{file}: is a pickle of PyTorch (torch.save), which can run any code when loaded: it was not loaded; "
            "write it by torch.jit.script(model).save(file), or export it to ONNX by torch.onnx.export"
        )
    if said:
        raise FactoryError(
            f"{file}: its program uses {', '.join(said)}, which can open files or run native code; it was not loaded. "
            "Take it out of the model, or export it to ONNX"
        )
