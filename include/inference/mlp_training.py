"""How nets learn: mini-batches, AdamW, a step that rises and falls once, and what was best on held rows is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from include.inference.mlp_inputs import MLPInputs
from include.inference.mlp_network import Dropout, Layers, Network, softmax

Array = np.ndarray[Any, np.dtype[Any]]
Loss = Literal["log", "squared", "absolute"]
CHECKS = 64
"""How often held rows are asked while a net learns, at most."""
PATIENCE = 16
"""Checks without a better answer after which it learns no further."""
_BATCHES = 20
"""Batches that an epoch is cut into, while they have between 32 and 512 rows."""
_MOMENTUM, _SQUARES = 0.9, 0.95
_WARM = 0.05
"""Share of the steps in which the step size rises."""
_TIMED = 20
"""Steps that are timed to reckon how many there is time for."""


@dataclass(frozen=True)
class Lesson:
    """What is learnt, and how.

    Attributes:
        rows: shape (rows, columns), float32.
        target: shape (rows, outputs), float32: shares of classes, or standardised values.
        weights: shape (rows,), with a mean of 1; None where all weigh the same.
        loss: ``log`` of classes, ``squared`` or ``absolute`` errors.
        dropout: share of hidden values that a batch does not see.
        step: largest step size, of a weight with one input.
        decay: of weights, in units of the step size.
        epochs: how often each row is seen.
        seconds: after this long it ends; the step size falls sooner then. None: no bound.
    """

    rows: Array
    target: Array
    weights: Array | None
    loss: Loss
    dropout: float
    step: float
    decay: float
    epochs: int
    seconds: float | None


def train(
    network: Network,
    inputs: MLPInputs,
    lesson: Lesson,
    rng: np.random.Generator,
    judge: Callable[[Layers], float] | None,
) -> int:
    """Let ``network`` learn ``lesson``, and return the epochs after which it was best.

    Args:
        network: is changed; it ends with its best parameters.
        inputs: what it sees of a row.
        lesson: see there.
        rng: of the order of rows, and of dropout.
        judge: how bad layers are on held rows; without it the last parameters are the best.
    """
    run = _Run(network, inputs, lesson, rng)
    best, best_step, best_parameters, waited = np.inf, 0, network.parameters, 0
    while run.step < run.total:
        run.go_on()
        if judge is None:
            best_step = run.step
            continue
        found = judge(network.layers())
        if found < best:
            best, best_step, best_parameters, waited = found, run.step, network.parameters.copy(), 0
        elif (waited := waited + 1) >= PATIENCE:
            break
    network.parameters[:] = best_parameters
    return max(1, round(best_step / run.epoch))


class _Run:
    """One way through a lesson."""

    def __init__(self, network: Network, inputs: MLPInputs, lesson: Lesson, rng: np.random.Generator) -> None:
        self._network, self._inputs, self._lesson, self._rng = network, inputs, lesson, rng
        rows = len(lesson.rows)
        self._size = min(rows, int(np.clip(2 ** round(np.log2(rows / _BATCHES)), 32, 512)))
        self.epoch = rows // self._size
        self.step = 0
        self.total = self._planned = lesson.epochs * self.epoch
        self._mean, self._square = np.zeros_like(network.parameters), np.zeros_like(network.parameters)
        self._dropout = Dropout(lesson.dropout, self._size * network.widest, rng) if lesson.dropout else None
        self._started = self._timed = time.monotonic()

    def go_on(self) -> None:
        """Take steps until the next check is due."""
        start = self.step
        while self.step < min(self.total, start + max(1, self.epoch // 4, self.total // CHECKS)):
            if self.step % self.epoch == 0:
                self._order = self._rng.permutation(len(self._lesson.rows))
            first = self.step % self.epoch * self._size
            self._batch(self._order[first : first + self._size])
            self.step += 1
            if self._lesson.seconds is not None:
                self._keep_to(self._lesson.seconds)

    def _keep_to(self, seconds: float) -> None:
        """Set the steps in all to what there is time for, up to what was planned."""
        now = time.monotonic()
        if self.step == 1:  # the first one warms up
            self._timed = now
        left = self._started + seconds - now
        if left <= 0:
            self.total = self.step
        elif self.step > _TIMED:
            possible = self.step + int(left / (now - self._timed) * (self.step - 1))
            self.total = min(self._planned, possible)

    def _batch(self, chosen: Array) -> None:
        lesson, network = self._lesson, self._network
        inputs = self._inputs(lesson.rows[chosen])
        outputs, tape = network.run(inputs, self._dropout)
        slopes = slopes_of(lesson.loss, outputs, lesson.target[chosen])
        slopes *= np.float32(1 / len(chosen)) if lesson.weights is None else lesson.weights[chosen, None] / len(chosen)
        network.learn(inputs, tape, slopes)
        self._adam(np.float32(lesson.step * _share(self.step / self.total)))

    def _adam(self, step: np.float32) -> None:
        """Loshchilov and Hutter 2019, "Decoupled weight decay regularization"."""
        network, times = self._network, self.step + 1
        self._mean *= np.float32(_MOMENTUM)
        self._mean += np.float32(1 - _MOMENTUM) * network.gradient
        self._square *= np.float32(_SQUARES)
        change = np.square(network.gradient)
        change *= np.float32(1 - _SQUARES)
        self._square += change
        np.multiply(self._square, np.float32(1 / (1 - _SQUARES**times)), out=change)
        np.sqrt(change, out=change)
        change += np.float32(1e-8)
        np.divide(self._mean, change, out=change)
        change *= network.rates
        change *= step / np.float32(1 - _MOMENTUM**times)
        change += network.parameters * (network.decayed * (step * np.float32(self._lesson.decay)))
        network.parameters -= change


def slopes_of(loss: Loss, outputs: Array, target: Array) -> Array:
    """Return the slopes of a loss by ``outputs``, shape (members, rows, outputs), which are overwritten."""
    outputs = softmax(outputs) if loss == "log" else outputs
    outputs -= target
    return np.sign(outputs, out=outputs) if loss == "absolute" else outputs


def _share(progress: float) -> float:
    """Return the share of the largest step at ``progress`` of the whole way: a short rise, then half a cosine."""
    return float(min(1.0, (progress + 1e-3) / _WARM) * (1 + np.cos(np.pi * progress)) / 2)
