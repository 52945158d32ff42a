"""How skl2onnx converts `include.inference.kernel`: alone, or inside of an ensemble."""

from __future__ import annotations

from typing import Any

import numpy as np

from include.inference.kernel import KernelClassifier, KernelRegressor
from include.inference.nodes import Nodes

FARTHEST = 1e15
"""Where values are cut off: their squares still fit into single precision, and so far out every kernel is 0."""


def register_kernel() -> None:
    """Tell skl2onnx how kernel machines are converted."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    update_registered_converter(
        KernelClassifier,
        "FactoryKernelClassifier",
        calculate_linear_classifier_output_shapes,
        _classifier,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    update_registered_converter(
        KernelRegressor, "FactoryKernelRegressor", calculate_linear_regressor_output_shapes, _regressor
    )


def _classifier(scope: Any, operator: Any, container: Any) -> None:
    nodes, model = Nodes(scope, container), operator.raw_operator
    label, probabilities = (output.full_name for output in operator.outputs)
    weights, bias = model.weights_, model.bias_
    if weights.shape[1] == 1:  # of two classes the first one has the sum 0
        weights, bias = np.column_stack([np.zeros(len(weights)), weights]), np.concatenate([[0.0], bias])
    sums = _sums(nodes, operator, weights, bias)
    nodes.add("Softmax", sums, to=probabilities, axis=-1)
    likeliest = nodes.add("ArgMax", probabilities, axis=1, keepdims=0)
    nodes.add("Gather", nodes.constant(model.classes_, np.int64), likeliest, to=label, axis=0)


def _regressor(scope: Any, operator: Any, container: Any) -> None:
    nodes, model = Nodes(scope, container), operator.raw_operator
    _sums(nodes, operator, model.weights_, model.bias_, to=operator.outputs[0].full_name)


def _sums(nodes: Nodes, operator: Any, weights: Any, bias: Any, to: str | None = None) -> str:
    """Add exp(2 gamma x·c - gamma |x|² - gamma |c|²), weighted and summed over the centres c.

    In double precision: weights may be large, and their sum small.
    """
    model = operator.raw_operator
    ends = (nodes.constant(np.float32(end)) for end in (-FARTHEST, FARTHEST))
    rows = nodes.cast(nodes.add("Clip", operator.inputs[0].full_name, *ends), np.float64)
    lengths = nodes.add("ReduceSumSquare", rows, nodes.constant([1], np.int64), keepdims=1)
    centres = nodes.cast(nodes.constant(model.centres_), np.float64)  # training rows, which are of single precision
    own = nodes.constant(-model.gamma_ * (model.centres_**2).sum(axis=1), np.float64)
    exponents = nodes.add("Gemm", rows, centres, own, alpha=2 * model.gamma_, transB=1)
    exponents = nodes.add("Sub", exponents, nodes.add("Mul", lengths, nodes.constant([model.gamma_], np.float64)))
    exponents = nodes.add("Min", exponents, nodes.constant([0.0], np.float64))
    values = nodes.add(
        "Gemm", nodes.add("Exp", exponents), *(nodes.constant(one, np.float64) for one in (weights, bias))
    )
    return nodes.cast(values, np.float32, to=to)
