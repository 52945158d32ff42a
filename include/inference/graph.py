"""An ONNX graph in the making: nodes, constants, and the whole."""

from __future__ import annotations

from typing import Any

import numpy as np

INPUT, OUTPUT = "rows", "answer"
NEWEST = 10
"""Newest version of the file format that is written: old enough for every ONNX Runtime of the last years."""


class Graph:
    """An ONNX graph in the making: one input of float32 (rows, columns), one output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._columns: dict[tuple[int, int], str] = {}
        self._count = 0

    def _name(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def constant(self, value: Any) -> str:
        """Add a constant; return its name."""
        from onnx import numpy_helper

        name = self._name()
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        from onnx import helper

        name = self._name()
        self.nodes.append(helper.make_node(operator, inputs, [name], name=f"n_{name}", **attributes))
        return name

    def split(self, value: str, sizes: str, axis: int, count: int) -> tuple[str, ...]:
        """Add the parts of a value along an axis, ``count`` of them; return their names."""
        from onnx import helper

        names = tuple(self._name() for _ in range(count))
        self.nodes.append(helper.make_node("Split", [value, sizes], names, name=f"n_{names[0]}", axis=axis))
        return names

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
        self.nodes += graph.node
        self.constants += graph.initializer
        answer: str = graph.output[-1].name
        return answer

    def model(self, answer: str, width: int, opsets: dict[str, int]) -> Any:
        """Return the whole, which takes ``width`` columns and gives what is called ``answer``."""
        from onnx import IR_VERSION, TensorProto, helper

        self.nodes.append(helper.make_node("Identity", [answer], [OUTPUT]))
        rows = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, width])
        output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "model", [rows], [output], self.constants)
        imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        return helper.make_model(graph, opset_imports=imports, ir_version=min(IR_VERSION, NEWEST))
