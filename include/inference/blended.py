"""An ensemble as one ONNX graph: the graphs of its members side by side, then weights and calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from include.inference.ensemble import SMALLEST, BlendClassifier, BlendRegressor
from include.inference.graph import Graph
from include.inference.groups import Group, grouped
from include.inference.stack import LEAST, PoolClassifier, StackRegressor

Convert = Callable[[Any, int], Any]
"""A fitted estimator and the number of its columns to an ONNX model: one input of float32 (rows, columns), and as its
last output the probabilities (rows, classes), or the values (rows,) or (rows, 1)."""


def is_blend(model: Any) -> bool:
    """Tell whether ``model`` is an ensemble that `blended_graph` takes."""
    return isinstance(model, BlendClassifier | BlendRegressor)


def blended_graph(blend: Any, convert: Convert, opsets: dict[str, int]) -> Any:
    """Return the ONNX model of an ensemble: one input and one output, as of a single model.

    Args:
        blend: a fitted BlendClassifier or BlendRegressor, or one that is stacked.
        convert: makes the graph of a member.
        opsets: version of each operator set of the whole.
    """
    graph = Graph()
    answers = _answers(graph, blend, convert)
    if isinstance(blend, PoolClassifier):
        total = _pooled(graph, answers, blend)
    else:
        total = _weighted(graph, answers, blend.weights)
    if isinstance(blend, StackRegressor):
        total = graph.add("Add", [total, graph.constant(np.float32(blend.intercept))])
    if isinstance(blend, BlendClassifier):
        total = _calibrated(graph, total, blend)
    return graph.model(total, blend.n_features, opsets)


def _answers(graph: Graph, blend: Any, convert: Convert) -> list[Group]:
    """Return the members' probabilities over all classes, or their values: those together that can be."""
    nothing = [None] * len(blend.members)
    present, factors = (getattr(blend, name, None) or nothing for name in ("present", "factors"))
    plain = [
        (number, member, place)
        for number, (member, place, known, by) in enumerate(
            zip(blend.members, blend.slices, present, factors, strict=True)
        )
        if known is None and by is None
    ]
    groups = grouped(graph, plain, isinstance(blend, BlendClassifier))
    together = {number for group in groups for number in group.members}
    alone = [number for number in range(len(blend.members)) if number not in together]
    return [*groups, *(_alone(graph, blend, number, present[number], factors[number], convert) for number in alone)]


def _alone(graph: Graph, blend: Any, number: int, known: Any, by: Any, convert: Convert) -> Group:
    """Return the answers of a member of its own kind, or one that does not know all classes as they occur."""
    start, stop = blend.slices[number]
    member = convert(blend.members[number], stop - start)
    answer = graph.member(member, f"m{number}_", graph.columns(start, stop))
    width = len(known) if known is not None else getattr(blend, "n_classes", 1)
    answer = graph.add("Reshape", [answer, graph.constant(np.array([1, -1, width], dtype=np.int64))])
    if by is not None:
        answer = _reweighted(graph, answer, np.array(by, dtype=np.float32))
    if known is not None:
        places = np.zeros((width, blend.n_classes), dtype=np.float32)
        places[np.arange(width), list(known)] = 1.0
        answer = graph.add("MatMul", [answer, graph.constant(places)])
    return Group((number,), answer)


def _weighted(graph: Graph, groups: Sequence[Group], weights: Sequence[float]) -> str:
    """Add the weighted sum of what all members say, shape (rows, outputs); return its name."""
    parts = []
    for group in groups:
        by = np.array([weights[number] for number in group.members], dtype=np.float32).reshape(-1, 1, 1)
        parts.append(graph.add("Mul", [group.answers, graph.constant(by)]))
    whole = parts[0] if len(parts) == 1 else graph.add("Concat", parts, axis=0)
    return graph.add("ReduceSum", [whole, graph.constant(np.array([0]))], keepdims=0)


def _pooled(graph: Graph, answers: Sequence[Group], blend: PoolClassifier) -> str:
    """Return the pool of probabilities; without products of matrices, which would lose digits when quantised."""
    least = graph.constant(np.float32(LEAST))
    logarithms = [
        Group(group.members, graph.add("Log", [graph.add("Max", [group.answers, least])])) for group in answers
    ]
    slopes, intercepts = (graph.constant(side[None].astype(np.float32)) for side in blend.lines())
    total = graph.add("Mul", [_weighted(graph, logarithms, blend.weights), slopes])
    return graph.add("Softmax", [graph.add("Add", [total, intercepts])], axis=1)


def _reweighted(graph: Graph, answer: str, factors: Any) -> str:
    """Return probabilities times one factor a class, made to sum to 1."""
    raised = graph.add("Mul", [answer, graph.constant(factors)])
    total = graph.add("MatMul", [raised, graph.constant(np.ones((len(factors), 1), dtype=np.float32))])
    return graph.add("Div", [raised, total])


def _calibrated(graph: Graph, total: str, blend: BlendClassifier) -> str:
    if len(blend.knots):
        return _along(graph, total, np.array(blend.knots, dtype=float))
    if blend.temperature == 1.0:
        return total
    logits = graph.add("Log", [graph.add("Max", [total, graph.constant(np.float32(SMALLEST))])])
    cooled = graph.add("Div", [logits, graph.constant(np.float32(blend.temperature))])
    return graph.add("Softmax", [cooled], axis=1)


def _along(graph: Graph, total: str, knots: Any) -> str:
    """Return the positive class's probability along the line through ``knots``: y0 + sum of a_j relu(p - x_j)."""
    known, wanted = knots.T
    slopes = np.concatenate([np.diff(wanted) / np.diff(known), [0.0]])
    bends = np.diff(slopes, prepend=0.0)
    positive = graph.add("Gather", [total, graph.constant(np.array([1], dtype=np.int64))], axis=1)
    beyond = graph.add("Relu", [graph.add("Sub", [positive, graph.constant(known[None].astype(np.float32))])])
    risen = graph.add("MatMul", [beyond, graph.constant(bends[:, None].astype(np.float32))])
    found = graph.add("Add", [risen, graph.constant(np.float32(wanted[0]))])
    return graph.add("Concat", [graph.add("Sub", [graph.constant(np.float32(1)), found]), found], axis=1)
