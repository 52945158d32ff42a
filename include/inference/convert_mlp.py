"""How skl2onnx converts `include.inference.mlp`: alone, or inside of an ensemble."""

from __future__ import annotations

from typing import Any

import numpy as np

from include.inference.mlp import TabularMLPClassifier, TabularMLPRegressor
from include.inference.mlp_inputs import SOFT
from include.inference.nodes import Nodes

Array = np.ndarray[Any, np.dtype[Any]]


def register_mlp() -> None:
    """Tell skl2onnx how the neural nets are converted."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    update_registered_converter(
        TabularMLPClassifier,
        "FactoryTabularMLPClassifier",
        calculate_linear_classifier_output_shapes,
        _classifier,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    update_registered_converter(
        TabularMLPRegressor, "FactoryTabularMLPRegressor", calculate_linear_regressor_output_shapes, _regressor
    )


def _classifier(scope: Any, operator: Any, container: Any) -> None:
    graph, model = Nodes(scope, container), operator.raw_operator
    label, probabilities = (output.full_name for output in operator.outputs)
    shares = graph.add("Softmax", _outputs(graph, operator, model), axis=-1)
    _mean(graph, shares, model, to=probabilities)
    likeliest = graph.add("ArgMax", probabilities, axis=1, keepdims=0)
    graph.add("Gather", graph.constant(model.classes_, np.int64), likeliest, to=label, axis=0)


def _regressor(scope: Any, operator: Any, container: Any) -> None:
    graph, model = Nodes(scope, container), operator.raw_operator
    standard = _mean(graph, _outputs(graph, operator, model), model)
    values = graph.add("Mul", standard, graph.constant(model.deviation_))
    values = graph.add("Add", values, graph.constant(model.mean_))
    ends = graph.constant(model.lowest_), graph.constant(model.highest_)
    graph.add("Clip", values, *ends, to=operator.outputs[0].full_name)


def _outputs(graph: Nodes, operator: Any, model: Any) -> str:
    """Add what `include.inference.mlp_network.forward` does."""
    values = _inputs(graph, operator.inputs[0].full_name, model.inputs_)
    last = len(model.weights_) - 1
    for layer, (weights, biases) in enumerate(zip(model.weights_, model.biases_, strict=True)):
        if len(weights) == 1:  # a net alone needs no axis of members
            weights, biases = weights[0], biases[0]
        values = graph.add("MatMul", values, graph.constant(weights))
        values = graph.add("Add", values, graph.constant(biases))
        if layer < last:
            values = _activated(graph, values)
    return values


def _inputs(graph: Nodes, rows: str, inputs: Any) -> str:
    """Add what `include.inference.mlp_inputs.MLPInputs` does."""
    values = graph.add("Max", rows, graph.constant(inputs.lowest))
    values = graph.add("Min", values, graph.constant(inputs.highest))
    values = graph.add("Sub", values, graph.constant(inputs.centre))
    values = graph.add("Mul", values, graph.constant(inputs.factor))
    part = graph.add("Div", values, graph.constant(SOFT))
    values = graph.add("Div", values, _root(graph, part))
    if not len(inputs.sources):
        return values
    steps = graph.add("Gather", values, graph.constant(inputs.sources, np.int64), axis=1)
    steps = graph.add("Mul", steps, graph.constant(inputs.slopes))
    steps = graph.add("Add", steps, graph.constant(inputs.offsets))
    steps = graph.add("Clip", steps, graph.constant(-1.0), graph.constant(1.0))
    return graph.add("Concat", values, steps, axis=1)


def _activated(graph: Nodes, values: str) -> str:
    ratio = graph.add("Div", values, _root(graph, values))
    return graph.add("Add", graph.add("Mul", values, ratio), values)


def _root(graph: Nodes, values: str) -> str:
    """Add the root of one more than the square of ``values``."""
    return graph.add("Sqrt", graph.add("Add", graph.add("Mul", values, values), graph.constant(1.0)))


def _mean(graph: Nodes, values: str, model: Any, to: str | None = None) -> str:
    """Add the mean over the members."""
    if len(model.weights_[0]) == 1:
        return graph.add("Identity", values, to=to)
    return graph.add("ReduceMean", values, graph.constant([0], np.int64), to=to, keepdims=0)
