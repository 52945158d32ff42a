"""Several small nets of one shape, side by side: each matrix product is done for all of them at once.

Together they are an ensemble at the price of one wide net (compare Gorishniy et al. 2024, "TabM"). In shapes, members
are the nets and rows those of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Layers = Sequence[tuple[Array, Array]]
"""For each layer its weights, shape (members, inputs, outputs), and biases, shape (members, 1, outputs)."""
_POOL = 4
"""How much larger a pool of dropped values is than what is taken of it."""
BIAS_RATE, SCALE_RATE = 0.1, 6.0
"""How fast biases and the scales of inputs learn, beside weights of one input (Holzmüller et al. 2024)."""


def forward(inputs: Array, layers: Layers) -> Array:
    """Return what the last layer gives for ``inputs``, shape (rows, width): float32, shape (members, rows, outputs)."""
    values: Array = inputs
    for weights, biases in layers[:-1]:
        values = np.matmul(values, weights)
        values += biases
        values = activated(values, _ratio(values))
    weights, biases = layers[-1]
    values = np.matmul(values, weights)
    values += biases
    return values


def softmax(logits: Array) -> Array:
    """Return probabilities over the last axis; ``logits`` are overwritten."""
    logits -= logits.max(axis=-1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=-1, keepdims=True)
    return logits


def activated(values: Array, ratio: Array) -> Array:
    """Return ``values * (1 + ratio)``, where the ratio is ``x / sqrt(1 + x²)``.

    This is a SiLU, ``2 x sigmoid(x)``, with an algebraic sigmoid: it costs a third of one with an exponential, and its
    slope is ``1 + 2 ratio - ratio³``.
    """
    answer: Array = values * ratio
    answer += values
    return answer


def _ratio(values: Array) -> Array:
    ratio = np.square(values)
    ratio += 1
    np.sqrt(ratio, out=ratio)
    np.divide(values, ratio, out=ratio)
    return ratio


def _slope(ratio: Array) -> Array:
    slope: Array = np.square(ratio)
    np.subtract(2, slope, out=slope)
    slope *= ratio
    slope += 1
    return slope


class Network:
    """Nets that learn: parameters and their gradients, each in one flat vector.

    Attributes:
        parameters, gradient: float32, shape (parameters,).
        rates: how fast each parameter learns: weights by one over the root of their layer's inputs, which is what the
            neural tangent parametrisation amounts to under Adam (Holzmüller et al. 2024).
        decayed: 1 where a parameter decays, else 0.
        widest: values that the members' widest hidden layers have together for a row.
    """

    def __init__(
        self, sizes: Sequence[int], members: int, prior: Array, typical: float, rng: np.random.Generator
    ) -> None:
        """Draw parameters.

        Args:
            sizes: width of the inputs, of each hidden layer, and of the outputs.
            members: how many nets.
            prior: biases of the outputs, shape (outputs,): with weights of 0 there, what the nets answer at first.
            typical: root mean square of the inputs.
            rng: what draws.
        """
        shapes: list[tuple[int, ...]] = [(members, sizes[0], 1)]
        for fan_in, fan_out in pairwise(sizes):
            shapes += [(members, fan_in, fan_out), (members, 1, fan_out)]
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)]).tolist()
        self._slices = [(slice(a, b), shape) for a, b, shape in zip(ends[:-1], ends[1:], shapes, strict=True)]
        self.parameters, self.gradient = (np.zeros(ends[-1], dtype=np.float32) for _ in range(2))
        self.rates, self.decayed = (np.ones(ends[-1], dtype=np.float32) for _ in range(2))
        self._views, self._gradients = self._viewed(self.parameters), self._viewed(self.gradient)
        self.widest = members * max(sizes[1:-1])
        rates, decayed = self._viewed(self.rates), self._viewed(self.decayed)
        self._views[0][:], rates[0][:] = 1, SCALE_RATE
        for layer, fan_in in enumerate(sizes[:-1]):
            weights, biases = 2 * layer + 1, 2 * layer + 2
            rates[weights][:], rates[biases][:], decayed[biases][:] = fan_in**-0.5, BIAS_RATE, 0
            if layer < len(sizes) - 2:
                self._views[weights][:] = rng.normal(size=shapes[weights]) * fan_in**-0.5 / (1 if layer else typical)
                self._views[biases][:] = rng.normal(size=shapes[biases])
        self._views[-1][:] = prior

    def layers(self, parameters: Array | None = None) -> list[tuple[Array, Array]]:
        """Return the layers of ``parameters``, by default the present ones, with the scales of inputs in the first."""
        scale, *views = self._views if parameters is None else self._viewed(parameters)
        return [(views[0] * scale, views[1]), *zip(views[2::2], views[3::2], strict=True)]

    def run(self, inputs: Array, dropout: Dropout | None = None) -> tuple[Array, list[tuple[Array, Array]]]:
        """Return outputs, shape (members, rows, outputs), and for each hidden layer its values and their slopes."""
        *hidden, (weights, biases) = self.layers()
        values, tape = inputs, []
        for inner, bias in hidden:
            before = np.matmul(values, inner)
            before += bias
            ratio = _ratio(before)
            values = activated(before, ratio)
            slope = _slope(ratio)
            if dropout:
                kept = dropout(values)
                values *= kept
                slope *= kept
            tape.append((values, slope))
        return np.matmul(values, weights) + biases, tape

    def learn(self, inputs: Array, tape: list[tuple[Array, Array]], slopes: Array) -> None:
        """Write the gradient of a loss whose ``slopes`` by the outputs are given, shape (members, rows, outputs)."""
        for layer in range(len(tape), -1, -1):
            values = tape[layer - 1][0] if layer else inputs
            weights, biases = self._gradients[2 * layer + 1], self._gradients[2 * layer + 2]
            np.sum(slopes, axis=1, keepdims=True, out=biases)
            np.matmul(values.swapaxes(-1, -2), slopes, out=weights)
            if layer:
                slopes = np.matmul(slopes, self._views[2 * layer + 1].swapaxes(-1, -2))
                slopes *= tape[layer - 1][1]
        np.sum(weights * self._views[1], axis=-1, keepdims=True, out=self._gradients[0])
        weights *= self._views[0]

    def _viewed(self, flat: Array) -> list[Array]:
        return [flat[part].reshape(shape) for part, shape in self._slices]


class Dropout:
    """Chooses the values that a batch does not see.

    To draw for every value of every batch would take a tenth of the time, so a pool is drawn once, and each batch takes
    a stretch of it that starts anywhere.
    """

    def __init__(self, share: float, most: int, rng: np.random.Generator) -> None:
        """Draw the pool for a ``share`` of values to drop, and up to ``most`` values at a time."""
        kept = rng.random(_POOL * most, dtype=np.float32) >= share
        self._pool, self._rng = kept * np.float32(1 / (1 - share)), rng

    def __call__(self, values: Array) -> Array:
        """Return what ``values`` are multiplied with: 0 where they are dropped; on average 1."""
        start = self._rng.integers(len(self._pool) - values.size + 1)
        return self._pool[start : start + values.size].reshape(values.shape)
