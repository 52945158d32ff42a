"""How skl2onnx converts scikit-learn's nearest neighbours.

Its own converter does not weigh by distance as scikit-learn does, and rounding hides from it that a row is a training
row itself. Here the nearest rows are found by one matrix product, and their distances taken again one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from include.inference.nodes import Nodes


def register_neighbours() -> None:
    """Tell skl2onnx how nearest neighbours by Euclidean distance are converted; others are left to it."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

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


def _classifier(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    if not _euclidean(model):
        from skl2onnx.operator_converters.nearest_neighbours import convert_nearest_neighbors_classifier

        convert_nearest_neighbors_classifier(scope, operator, container)
        return
    nodes = Nodes(scope, container)
    label, probabilities = (output.full_name for output in operator.outputs)
    _mean(nodes, operator, np.eye(len(model.classes_))[model._y], to=probabilities)
    likeliest = nodes.add("ArgMax", probabilities, axis=1, keepdims=0)
    nodes.add("Gather", nodes.constant(model.classes_, np.int64), likeliest, to=label, axis=0)


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
