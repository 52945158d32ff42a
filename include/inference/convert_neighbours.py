"""How skl2onnx converts nearest neighbours: `include.inference.neighbours`, and scikit-learn's.

Its own converter of scikit-learn's does not weigh by distance as that does, and rounding hides from it that a row is a
training row itself. Here the nearest rows are found by one matrix product, and their distances taken again one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from include.inference.neighbours import BEYOND, NeighboursClassifier, NeighboursRegressor
from include.inference.nodes import Nodes


def register_neighbours() -> None:
    """Tell skl2onnx how ours are converted, and scikit-learn's by Euclidean distance; others are left to it."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    update_registered_converter(
        NeighboursClassifier,
        "FactoryNeighboursClassifier",
        calculate_linear_classifier_output_shapes,
        _own_classifier,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    update_registered_converter(
        NeighboursRegressor, "FactoryNeighboursRegressor", calculate_linear_regressor_output_shapes, _own_regressor
    )
    optim = {"optim": [None, "cdist"]}
    update_registered_converter(
        KNeighborsClassifier,
        "SklearnKNeighborsClassifier",
        calculate_linear_classifier_output_shapes,
        _classifier,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"], "raw_scores": [True, False], **optim},
    )
    update_registered_converter(
        KNeighborsRegressor,
        "SklearnKNeighborsRegressor",
        calculate_linear_regressor_output_shapes,
        _regressor,
        options=optim,
    )


def _own_classifier(scope: Any, operator: Any, container: Any) -> None:
    nodes, model = Nodes(scope, container), operator.raw_operator
    shares = nodes.add("Mul", _own_means(nodes, operator), nodes.constant(model.kept_, np.float64))
    shares = nodes.add("Add", shares, nodes.constant(model.prior_, np.float64))
    label, probabilities = (output.full_name for output in operator.outputs)
    nodes.cast(shares, np.float32, to=probabilities)
    _likeliest(nodes, model, probabilities, label)


def _own_regressor(scope: Any, operator: Any, container: Any) -> None:
    nodes, model = Nodes(scope, container), operator.raw_operator
    means = nodes.add("Add", _own_means(nodes, operator), nodes.constant(model.mean_, np.float64))
    nodes.cast(means, np.float32, to=operator.outputs[0].full_name)


def _own_means(nodes: Nodes, operator: Any) -> str:
    """Add what `include.inference.neighbours` does, in double precision; what is remembered is kept in single."""
    model = operator.raw_operator
    rows = nodes.cast(operator.inputs[0].full_name, np.float64)
    known = nodes.cast(nodes.constant(model.rows_), np.float64)
    row = nodes.constant([1], np.int64)
    one, lengths = nodes.constant(1.0, np.float64), nodes.add("ReduceSumSquare", known, row, keepdims=0)
    own = nodes.add("ReduceSumSquare", rows, row, keepdims=1)
    apart = nodes.add("Gemm", rows, known, lengths, alpha=-2.0, transB=1)  # squared distances, but for the row's length
    nearest = f"{apart}_nearest"
    count = nodes.constant([model.nearest_], np.int64)
    nodes.add_several("TopK", (apart, count), (nearest, f"{nearest}_places"), axis=1, largest=0, sorted=0)
    widest = nodes.add("Relu", nodes.add("Add", nodes.add("ReduceMax", nearest, row, keepdims=1), own))
    widths = nodes.add("Mul", widest, nodes.constant(BEYOND, np.float64))
    slopes = nodes.add("Div", one, nodes.add("Add", widths, nodes.constant(model.least_, np.float64)))
    offsets = nodes.add("Sub", one, nodes.add("Mul", own, slopes))
    weights = nodes.add("Relu", nodes.add("Sub", offsets, nodes.add("Mul", apart, slopes)))
    if model.kernel == "biweight":
        weights = nodes.add("Mul", weights, weights)
    sums = nodes.add("MatMul", weights, nodes.cast(nodes.constant(model.answers_), np.float64))
    last = model.answers_.shape[1] - 1
    answers, counts = (
        nodes.add("Gather", sums, nodes.constant(places, np.int64), axis=1) for places in (range(last), [last])
    )
    return nodes.add("Div", answers, counts)


def _likeliest(nodes: Nodes, model: Any, probabilities: str, label: str) -> None:
    likeliest = nodes.add("ArgMax", probabilities, axis=1, keepdims=0)
    nodes.add("Gather", nodes.constant(model.classes_, np.int64), likeliest, to=label, axis=0)


def _classifier(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    if not _euclidean(model):
        from skl2onnx.operator_converters.nearest_neighbours import convert_nearest_neighbors_classifier

        convert_nearest_neighbors_classifier(scope, operator, container)
        return
    nodes = Nodes(scope, container)
    label, probabilities = (output.full_name for output in operator.outputs)
    _mean(nodes, operator, np.eye(len(model.classes_))[model._y], to=probabilities)
    _likeliest(nodes, model, probabilities, label)


def _regressor(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    if not _euclidean(model):
        from skl2onnx.operator_converters.nearest_neighbours import convert_nearest_neighbors_regressor

        convert_nearest_neighbors_regressor(scope, operator, container)
        return
    values = np.asarray(model._y, dtype=float).reshape(len(model._fit_X), -1)
    _mean(Nodes(scope, container), operator, values, to=operator.outputs[0].full_name)


def _euclidean(model: Any) -> bool:
    return model.effective_metric_ == "euclidean" and model.weights in ("uniform", "distance")


def _mean(nodes: Nodes, operator: Any, answers: Any, to: str) -> None:
    """Add the mean of the nearest rows' ``answers``, shape (training rows, outputs), weighted as the model asks."""
    model, rows = operator.raw_operator, operator.inputs[0].full_name
    known = np.asarray(model._fit_X, dtype=np.float64)
    remembered = nodes.constant(known)
    products = nodes.add("MatMul", rows, nodes.constant(-2 * known.T))
    apart = nodes.add("Add", products, nodes.constant((known**2).sum(axis=1)))  # but for the row's own length
    nearest, places = f"{to}_nearest", f"{to}_places"
    count = nodes.constant([model.n_neighbors], np.int64)
    nodes.add_several("TopK", (apart, count), (nearest, places), axis=1, largest=0, sorted=0)
    outputs = nodes.add("Gather", nodes.constant(answers), places, axis=0)
    if model.weights == "uniform":
        nodes.add("ReduceMean", outputs, nodes.constant([1], np.int64), to=to, keepdims=0)
        return
    neighbours = nodes.add("Gather", remembered, places, axis=0)
    row = nodes.add("Unsqueeze", rows, nodes.constant([1], np.int64))
    last = nodes.constant([2], np.int64)
    squares = nodes.add("ReduceSumSquare", nodes.add("Sub", neighbours, row), last, keepdims=1)
    same = nodes.cast(nodes.add("Equal", squares, nodes.constant([0.0])), np.float32)
    any_same = nodes.add("ReduceMax", same, nodes.constant([1], np.int64), keepdims=1)
    inverse = nodes.add("Reciprocal", nodes.add("Sqrt", squares))
    weights = nodes.add("Where", nodes.cast(any_same, bool), same, inverse)
    middle = nodes.constant([1], np.int64)
    total = nodes.add("ReduceSum", nodes.add("Mul", outputs, weights), middle, keepdims=0)
    nodes.add("Div", total, nodes.add("ReduceSum", weights, middle, keepdims=0), to=to)
