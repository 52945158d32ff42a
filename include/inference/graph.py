"""An ONNX graph in the making: nodes, constants, and the whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

INPUT, OUTPUT = "rows", "answer"
NEWEST = 10
"""Newest version of the file format that is written: old enough for every ONNX Runtime of the last years."""
_ARRAYS: dict[str, tuple[Any, str]] = {"f": ("FLOATS", "floats"), "i": ("INTS", "ints"), "S": ("STRINGS", "strings")}
"""Kind of an array → ONNX's type of an attribute that holds it, and the attribute's field."""


class Graph:
    """An ONNX graph in the making: one input of float32 (rows, columns), one output.

    It is written where it stays: a node of an ensemble's trees may hold millions of numbers, and protobuf copies what
    is made elsewhere.
    """

    def __init__(self) -> None:
        from onnx import ModelProto

        self._model = ModelProto()
        self._columns: dict[tuple[int, int], str] = {}
        self._count = 0

    def _name(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def constant(self, value: Any) -> str:
        """Add a constant; return its name."""
        from onnx import numpy_helper

        name = self._name()
        self._model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, its attributes as values or as arrays of them; return the output's name."""
        return self._node(operator, inputs, [self._name()], domain, attributes)[0]

    def split(self, value: str, sizes: str, axis: int, count: int) -> Sequence[str]:
        """Add the parts of a value along an axis, ``count`` of them; return their names."""
        return self._node("Split", [value, sizes], [self._name() for _ in range(count)], "", {"axis": axis})

    def _node(
        self, operator: str, inputs: Sequence[str], outputs: list[str], domain: str, attributes: dict[str, Any]
    ) -> list[str]:
        from onnx import helper

        node = self._model.graph.node.add(
            op_type=operator, input=inputs, output=outputs, name=f"n_{outputs[0]}", domain=domain
        )
        for name, value in attributes.items():
            if isinstance(value, np.ndarray):
                kind, place = _ARRAYS[value.dtype.kind]
                getattr(node.attribute.add(name=name, type=kind), place).extend(value.tolist())
            else:
                node.attribute.append(helper.make_attribute(name, value))
        return outputs

    def columns(self, start: int, stop: int) -> str:
        """Return the name of some of the input's columns; members that take the same ones share it."""
        if (start, stop) not in self._columns:
            edges = [self.constant(np.array([edge], dtype=np.int64)) for edge in (start, stop, 1)]
            self._columns[start, stop] = self.add("Slice", [INPUT, *edges])
        return self._columns[start, stop]

    def member(self, model: Any, prefix: str, rows: str) -> str:
        """Add the graph of a member that takes ``rows``; return the name of its last output."""
        from onnx import compose

        graph = compose.add_prefix(model, prefix).graph
        taken = {graph.input[0].name: rows}
        for node in graph.node:
            node.input[:] = [taken.get(name, name) for name in node.input]
        self._model.graph.node.extend(graph.node)
        self._model.graph.initializer.extend(graph.initializer)
        answer: str = graph.output[-1].name
        return answer

    def model(self, answer: str, width: int, opsets: dict[str, int]) -> Any:
        """Return the whole, which takes ``width`` columns and gives what is called ``answer``."""
        from onnx import IR_VERSION, TensorProto, helper

        graph = self._model.graph
        graph.node.append(helper.make_node("Identity", [answer], [OUTPUT]))
        graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, width]))
        graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, None))
        graph.name = "model"
        self._model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in opsets.items())
        self._model.ir_version = min(IR_VERSION, NEWEST)
        return self._model
