"""Trees as an ONNX graph of one node and its link, from whole arrays of nodes.

The converters of skl2onnx and onnxmltools go through the nodes one by one, which takes most of a minute for an ensemble
of forests or boosted trees.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from include.inference.graph import INPUT, Graph
from include.inference.trees import Trees

_BRANCH, _LEAF = b"BRANCH_LEQ", b"LEAF"


def tree_graph(trees: Trees, width: int, classifies: bool, opsets: dict[str, int]) -> Any:
    """Return the ONNX model of trees over ``width`` columns: probabilities (rows, classes), or values (rows, 1)."""
    graph = Graph()
    answer = graph.add("TreeEnsembleRegressor", [INPUT], domain="ai.onnx.ml", **_attributes(trees))
    if trees.link == "softmax":
        answer = graph.add("Softmax", [answer], axis=1)
    elif trees.link == "sigmoid":
        answer = graph.add("Sigmoid", [answer])
    if classifies and len(trees.base) == 1:
        negative = graph.add("Sub", [graph.constant(np.float32(1)), answer])
        answer = graph.add("Concat", [negative, answer], axis=1)
    return graph.model(answer, width, opsets)


def _attributes(trees: Trees) -> dict[str, Any]:
    starts = np.cumsum([0, *trees.sizes[:-1]])
    tree = np.repeat(np.arange(len(trees.sizes)), trees.sizes)
    place = np.arange(len(tree)) - np.repeat(starts, trees.sizes)
    leaf = trees.left < 0
    added = trees.values != 0
    added[leaf & ~added.any(axis=1), 0] = True  # each leaf says something, if it be 0
    at, output = np.nonzero(leaf[:, None] & added)
    return {
        "n_targets": len(trees.base),
        "base_values": trees.base.tolist(),
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": place.tolist(),
        "nodes_featureids": trees.feature.tolist(),
        "nodes_values": trees.threshold.tolist(),
        "nodes_modes": np.where(leaf, _LEAF, _BRANCH).tolist(),
        "nodes_truenodeids": np.maximum(trees.left, 0).tolist(),
        "nodes_falsenodeids": np.maximum(trees.right, 0).tolist(),
        "nodes_missing_value_tracks_true": trees.gaps_left.astype(int).tolist(),
        "target_treeids": tree[at].tolist(),
        "target_nodeids": place[at].tolist(),
        "target_ids": output.tolist(),
        "target_weights": trees.values[at, output].tolist(),
    }
