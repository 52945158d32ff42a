"""An ensemble as one ONNX graph: the graphs of its members side by side, then weights and calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from include.inference.ensemble import SMALLEST, BlendClassifier, BlendRegressor
from include.inference.stack import LEAST, PoolClassifier, StackRegressor

INPUT, OUTPUT = "rows", "blend"
Convert = Callable[[Any, int], Any]
"""A fitted estimator and the number of its columns to an ONNX model: one input of float32 (rows, columns), and as its
last output the probabilities (rows, classes), or the values (rows,) or (rows, 1)."""


def is_blend(model: Any) -> bool:
    """Tell whether ``model`` is an ensemble that `blended_graph` takes."""
    return isinstance(model, BlendClassifier | BlendRegressor)


def blended_graph(blend: Any, convert: Convert, opsets: dict[str, int]) -> Any:
    """Return the ONNX model of an ensemble: input `INPUT`, output `OUTPUT` as of a single model.

    Args:
        blend: a fitted BlendClassifier or BlendRegressor, or one that is stacked.
        convert: makes the graph of a member.
        opsets: version of each operator set of the whole.
    """
    from onnx import helper

    graph = _Graph()
    answers = _answers(graph, blend, convert)
    if isinstance(blend, PoolClassifier):
        total = _pooled(graph, answers, blend)
    else:
        total = graph.weighted(answers, blend.weights)
    if isinstance(blend, StackRegressor):
        total = graph.add("Add", [total, graph.constant(np.float32(blend.intercept))])
    if isinstance(blend, BlendClassifier):
        total = _calibrated(graph, total, blend)
    graph.nodes.append(helper.make_node("Identity", [total], [OUTPUT]))
    return graph.model(blend.n_features, opsets)


def _answers(graph: _Graph, blend: Any, convert: Convert) -> list[str]:
    """Return each member's probabilities over all classes, or its values."""
    nothing = [None] * len(blend.members)
    present, factors = (getattr(blend, name, None) or nothing for name in ("present", "factors"))
    answers = []
    for number, (member, (start, stop), known, by) in enumerate(
        zip(blend.members, blend.slices, present, factors, strict=True)
    ):
        answer = graph.member(convert(member, stop - start), f"m{number}_", graph.columns(start, stop))
        width = len(known) if known is not None else getattr(blend, "n_classes", 1)
        answer = graph.add("Reshape", [answer, graph.constant(np.array([-1, width], dtype=np.int64))])
        if by is not None:
            answer = _reweighted(graph, answer, np.array(by, dtype=np.float32))
        if known is not None:
            places = np.zeros((width, blend.n_classes), dtype=np.float32)
            places[np.arange(width), list(known)] = 1.0
            answer = graph.add("MatMul", [answer, graph.constant(places)])
        answers.append(answer)
    return answers


def _pooled(graph: _Graph, answers: list[str], blend: PoolClassifier) -> str:
    """Return the pool of probabilities; without products of matrices, which would lose digits when quantised."""
    least = graph.constant(np.float32(LEAST))
    logarithms = [graph.add("Log", [graph.add("Max", [answer, least])]) for answer in answers]
    slopes, intercepts = (graph.constant(side[None].astype(np.float32)) for side in blend.lines())
    total = graph.add("Mul", [graph.weighted(logarithms, blend.weights), slopes])
    return graph.add("Softmax", [graph.add("Add", [total, intercepts])], axis=1)


def _reweighted(graph: _Graph, answer: str, factors: Any) -> str:
    """Return probabilities times one factor a class, made to sum to 1."""
    raised = graph.add("Mul", [answer, graph.constant(factors)])
    total = graph.add("MatMul", [raised, graph.constant(np.ones((len(factors), 1), dtype=np.float32))])
    return graph.add("Div", [raised, total])


def _calibrated(graph: _Graph, total: str, blend: BlendClassifier) -> str:
    if len(blend.knots):
        return _along(graph, total, np.array(blend.knots, dtype=float))
    if blend.temperature == 1.0:
        return total
    logits = graph.add("Log", [graph.add("Max", [total, graph.constant(np.float32(SMALLEST))])])
    cooled = graph.add("Div", [logits, graph.constant(np.float32(blend.temperature))])
    return graph.add("Softmax", [cooled], axis=1)


def _along(graph: _Graph, total: str, knots: Any) -> str:
    """Return the positive class's probability along the line through ``knots``: y0 + sum of a_j relu(p - x_j)."""
    known, wanted = knots.T
    slopes = np.concatenate([np.diff(wanted) / np.diff(known), [0.0]])
    bends = np.diff(slopes, prepend=0.0)
    positive = graph.add("Gather", [total, graph.constant(np.array([1], dtype=np.int64))], axis=1)
    beyond = graph.add("Relu", [graph.add("Sub", [positive, graph.constant(known[None].astype(np.float32))])])
    risen = graph.add("MatMul", [beyond, graph.constant(bends[:, None].astype(np.float32))])
    found = graph.add("Add", [risen, graph.constant(np.float32(wanted[0]))])
    return graph.add("Concat", [graph.add("Sub", [graph.constant(np.float32(1)), found]), found], axis=1)


class _Graph:
    """An ONNX graph in the making."""

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

    def weighted(self, answers: Sequence[str], weights: Sequence[float]) -> str:
        """Add the weighted sum of ``answers``; return its name."""
        pairs = zip(answers, weights, strict=True)
        return self.add("Sum", [self.add("Mul", [one, self.constant(np.float32(by))]) for one, by in pairs])

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

    def model(self, width: int, opsets: dict[str, int]) -> Any:
        """Return the whole."""
        from onnx import IR_VERSION, TensorProto, helper

        rows = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, width])
        answer = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "ensemble", [rows], [answer], self.constants)
        imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        return helper.make_model(graph, opset_imports=imports, ir_version=min(IR_VERSION, 10))
