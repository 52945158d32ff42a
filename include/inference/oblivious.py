"""CatBoost's oblivious trees in numpy: every level of a tree asks one question, so a row's leaf is a number in binary.

A row takes a handful of numpy calls for all trees together. CatBoost's Python interface builds a pool first, which
costs some twenty times as much for a single row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from include.inference.scorer import Array

DEEPEST = 16


class ObliviousTrees:
    """All trees of one model over numbers.

    Args:
        document: what CatBoost saves as JSON. Trees up to `DEEPEST` levels, splits on numbers alone.

    Raises:
        ValueError: the trees are of another kind.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        trees = document.get("oblivious_trees")
        if not trees:
            raise ValueError("it has no oblivious trees")
        splits = [tree["splits"] or [] for tree in trees]
        deepest = max(map(len, splits))
        if deepest > DEEPEST or any(one["split_type"] != "FloatFeature" for levels in splits for one in levels):
            raise ValueError("its trees are too deep, or split on categories")
        width = 8 if deepest <= 8 else 16
        self._feature = np.zeros((len(trees), width), dtype=np.intp)
        self._border = np.full((len(trees), width), np.inf, dtype=np.float32)  # a level that is not there answers no
        for tree, levels in enumerate(splits):
            for level, split in enumerate(levels):
                self._feature[tree, level] = split["float_feature_index"]
                self._border[tree, level] = split["border"]
        scale, bias = document["scale_and_bias"]
        self._scale, self._bias = float(scale), np.atleast_1d(np.asarray(bias, dtype=np.float64))
        outputs = len(self._bias)
        leaves = [np.asarray(tree["leaf_values"], dtype=np.float64).reshape(-1, outputs) for tree in trees]
        self._leaf = np.concatenate(leaves)
        self._first = np.cumsum([0, *map(len, leaves[:-1])])
        self._code = np.dtype("u1" if width == 8 else "<u2")
        features = document["features_info"]["float_features"]
        self._high = [index for index, one in enumerate(features) if one.get("nan_value_treatment") == "AsTrue"]

    def raw(self, row: Sequence[float] | Array) -> Array:
        """Return the sum of the leaves of one row, shape (outputs,), before any link."""
        values = np.array(row, dtype=np.float32)
        for index in self._high:
            if values[index] != values[index]:
                values[index] = np.inf
        answers = values[self._feature] > self._border
        leaf = np.packbits(answers, axis=1, bitorder="little").view(self._code)[:, 0]
        total: Array = self._leaf[self._first + leaf].sum(axis=0) * self._scale + self._bias
        return total
