"""Members of an ensemble that one ONNX graph computes together.

ONNX Runtime takes about a microsecond for each operator, whatever it computes for a single row. An ensemble of the
models of many folds has hundreds of operators, most of which do the same with other numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from include.inference.convert_trees import add_trees, linked, of_two
from include.inference.graph import INPUT, Graph
from include.inference.mlp import TabularMLPClassifier, TabularMLPRegressor
from include.inference.mlp_inputs import SOFT
from include.inference.trees import Trees, trees_of

Array = np.ndarray[Any, np.dtype[Any]]
Place = tuple[int, int]
"""The columns of the graph's input that a member takes, as (start, stop)."""


@dataclass(frozen=True)
class Group:
    """Members that are computed together.

    Attributes:
        members: their numbers in the ensemble.
        answers: name of what they say, shape (members, rows, classes), or (members, rows, 1).
    """

    members: tuple[int, ...]
    answers: str


def grouped(graph: Graph, members: Sequence[tuple[int, Any, Place]], classifies: bool) -> list[Group]:
    """Add what can be computed together of some ``members``: number, fitted estimator, and columns of each."""
    return [*_of_trees(graph, members, classifies), *_of_nets(graph, members)]


def _of_trees(graph: Graph, members: Sequence[tuple[int, Any, Place]], classifies: bool) -> Iterable[Group]:
    """Add one operator for all trees whose sums are treated alike."""
    alike: dict[Any, list[tuple[int, Trees, int]]] = defaultdict(list)
    for number, member, (start, _) in members:
        if (trees := trees_of(member)) is not None:
            alike[trees.link, len(trees.base)].append((number, trees, start))
    for (link, outputs), found in alike.items():
        sums = add_trees(graph, [(trees, start) for _, trees, start in found])
        shape = graph.constant(np.array([-1, len(found), outputs], dtype=np.int64))
        answers = graph.add("Transpose", [graph.add("Reshape", [sums, shape])], perm=[1, 0, 2])
        answers = linked(graph, answers, link)
        yield Group(
            tuple(number for number, *_ in found), of_two(graph, answers) if classifies and outputs == 1 else answers
        )


def _of_nets(graph: Graph, members: Sequence[tuple[int, Any, Place]]) -> Iterable[Group]:
    """Add one product of matrices a layer for all nets of one shape; what nets see may differ in width."""
    alike: dict[Any, list[tuple[int, Any, int]]] = defaultdict(list)
    for number, member, (start, _) in members:
        if isinstance(member, TabularMLPClassifier | TabularMLPRegressor):
            shape = tuple(weights.shape for weights in member.weights_[1:])
            alike[type(member), member.weights_[0].shape[::2], shape].append((number, member, start))
    for found in alike.values():
        nets = [net for _, net, _ in found]
        values = _inputs(graph, [net.inputs_ for net in nets], [start for *_, start in found])
        answers = _forward(graph, values, nets)
        if isinstance(nets[0], TabularMLPClassifier):
            answers = graph.add("Softmax", [answers], axis=-1)
        answers = graph.add("ReduceMean", [answers, graph.constant(np.array([1]))], keepdims=0)
        if isinstance(nets[0], TabularMLPRegressor):
            answers = _values(graph, answers, nets)
        yield Group(tuple(number for number, *_ in found), answers)


def _inputs(graph: Graph, inputs: Sequence[Any], starts: Sequence[int]) -> str:
    """Add what nets see of a row, shape (nets, 1, rows, width): columns, then their steps, each padded with zeros."""
    columns, steps = (max(len(getattr(one, name)) for one in inputs) for name in ("centre", "sources"))
    sources = [(np.arange(len(one.centre)), one.sources) for one in inputs]
    rows = [np.concatenate([_padded(kept, columns), _padded(stepped, steps)]) for kept, stepped in sources]
    taken = np.stack([found.astype(np.int64) + start for found, start in zip(rows, starts, strict=True)])
    values = graph.add("Gather", [INPUT, graph.constant(taken)], axis=1)
    values = graph.add("Transpose", [values], perm=[1, 0, 2])

    def known(name: str) -> str:
        ends = zip(inputs, sources, strict=True)
        whole = [(getattr(one, name), getattr(one, name)[stepped]) for one, (_, stepped) in ends]
        return _stacked(graph, [np.concatenate([_padded(a, columns), _padded(b, steps)]) for a, b in whole])

    values = graph.add("Min", [graph.add("Max", [values, known("lowest")]), known("highest")])
    values = graph.add("Mul", [graph.add("Sub", [values, known("centre")]), known("factor")])
    part = graph.add("Div", [values, graph.constant(SOFT)])
    values = graph.add("Div", [values, _root(graph, part)])
    if steps:
        sizes = graph.constant(np.array([columns, steps]))
        values, stepped = graph.split(values, sizes, axis=2, count=2)
        slopes, offsets = (
            _stacked(graph, [_padded(getattr(one, n), steps) for one in inputs]) for n in ("slopes", "offsets")
        )
        stepped = graph.add("Add", [graph.add("Mul", [stepped, slopes]), offsets])
        ends = [graph.constant(np.float32(end)) for end in (-1, 1)]
        values = graph.add("Concat", [values, graph.add("Clip", [stepped, *ends])], axis=2)
    return graph.add("Unsqueeze", [values, graph.constant(np.array([1]))])


def _forward(graph: Graph, values: str, nets: Sequence[Any]) -> str:
    """Add what `include.inference.mlp_network.forward` does, shape (nets, members, rows, outputs)."""
    columns, steps = (max(len(getattr(net.inputs_, name)) for net in nets) for name in ("centre", "sources"))
    layers = len(nets[0].weights_)
    for layer in range(layers):
        weights, biases = ([getattr(net, name)[layer] for net in nets] for name in ("weights_", "biases_"))
        if not layer:
            weights = [
                _spread(one, len(net.inputs_.centre), columns, steps) for one, net in zip(weights, nets, strict=True)
            ]
        values = graph.add("MatMul", [values, graph.constant(np.stack(weights).astype(np.float32))])
        values = graph.add("Add", [values, graph.constant(np.stack(biases).astype(np.float32))])
        if layer < layers - 1:
            ratio = graph.add("Div", [values, _root(graph, values)])
            values = graph.add("Add", [graph.add("Mul", [values, ratio]), values])
    return values


def _values(graph: Graph, standard: str, nets: Sequence[Any]) -> str:
    """Add the values of regressions of the standardised target, never outside those of training."""

    def known(name: str) -> str:
        return graph.constant(np.array([getattr(net, name) for net in nets], dtype=np.float32).reshape(-1, 1, 1))

    values = graph.add("Add", [graph.add("Mul", [standard, known("deviation_")]), known("mean_")])
    return graph.add("Min", [graph.add("Max", [values, known("lowest_")]), known("highest_")])


def _spread(weights: Array, known: int, columns: int, steps: int) -> Array:
    """Return weights of a first layer, shape (members, inputs, outputs), with zeros for inputs that are padding."""
    members, _, outputs = weights.shape
    spread = np.zeros((members, columns + steps, outputs), dtype=np.float32)
    spread[:, :known] = weights[:, :known]
    spread[:, columns : columns + weights.shape[1] - known] = weights[:, known:]
    return spread


def _padded(values: Array, length: int) -> Array:
    return np.pad(values, (0, length - len(values)))


def _stacked(graph: Graph, rows: Sequence[Array]) -> str:
    """Add one row a net, which holds for all rows of the table: shape (nets, 1, width)."""
    return graph.constant(np.stack(rows)[:, None].astype(np.float32))


def _root(graph: Graph, values: str) -> str:
    """Add the root of one more than the square of ``values``."""
    square = graph.add("Mul", [values, values])
    return graph.add("Sqrt", [graph.add("Add", [square, graph.constant(np.float32(1))])])
