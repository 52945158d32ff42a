"""What a converter of ours adds to the graph that skl2onnx is building."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class Nodes:
    """Adds nodes and constants.

    Args:
        scope: skl2onnx's names.
        container: skl2onnx's graph.
    """

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Return the name of a new constant."""
        from onnx import numpy_helper

        name: str = self._scope.get_unique_variable_name("constant")
        tensor = numpy_helper.from_array(np.ascontiguousarray(value, dtype=dtype), name)
        self._container.add_initializer(name, tensor.data_type, list(tensor.dims), tensor)
        return name

    def add(self, kind: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        output: str = to or self._scope.get_unique_variable_name("value")
        self.add_several(kind, inputs, (output,), **attributes)
        return output

    def add_several(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        """Add a node of several outputs."""
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, list(inputs), list(outputs), name=name, **attributes)

    def cast(self, values: str, dtype: Any, to: str | None = None) -> str:
        """Add a conversion to a type of numpy's; return the name of its output."""
        from onnx import helper

        output: str = to or self._scope.get_unique_variable_name("value")
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.add_several("Cast", (values,), (output,), to=kind)
        return output
