"""Trees in an ONNX graph: one node for the trees of any number of models, from whole arrays of nodes.

The converters of skl2onnx and onnxmltools go through the nodes one by one, which takes most of a minute for an ensemble
of forests or boosted trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from include.inference.graph import INPUT, Graph
from include.inference.trees import Link, Trees

_BRANCH, _LEAF = b"BRANCH_LEQ", b"LEAF"


def tree_graph(trees: Trees, width: int, classifies: bool, opsets: dict[str, int]) -> Any:
    """Return the ONNX model of trees over ``width`` columns: probabilities (rows, classes), or values (rows, 1)."""
    graph = Graph()
    answer = linked(graph, add_trees(graph, [(trees, 0)]), trees.link)
    if classifies and len(trees.base) == 1:
        answer = of_two(graph, answer)
    return graph.model(answer, width, opsets)


def add_trees(graph: Graph, models: Sequence[tuple[Trees, int]]) -> str:
    """Add the trees of several models over the graph's input, each with the column of it that is its first one.

    Returns the name of their sums, shape (rows, outputs of all models).
    """
    parts, first_tree, first_output = [], 0, 0
    for trees, column in models:
        parts.append(_attributes(trees, first_tree, column, first_output))
        first_tree, first_output = first_tree + len(trees.sizes), first_output + len(trees.base)
    attributes = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return graph.add("TreeEnsembleRegressor", [INPUT], domain="ai.onnx.ml", n_targets=first_output, **attributes)


def linked(graph: Graph, sums: str, link: Link) -> str:
    """Add what is made of sums over the last axis; return its name."""
    if link == "softmax":
        return graph.add("Softmax", [sums], axis=-1)
    return graph.add("Sigmoid", [sums]) if link == "sigmoid" else sums


def of_two(graph: Graph, positive: str) -> str:
    """Add the probability of the other class before that of the positive one, in the last axis; return the name."""
    negative = graph.add("Sub", [graph.constant(np.float32(1)), positive])
    return graph.add("Concat", [negative, positive], axis=-1)


def _attributes(trees: Trees, first_tree: int, column: int, first_output: int) -> dict[str, Any]:
    starts = np.cumsum([0, *trees.sizes[:-1]])
    tree = np.repeat(np.arange(len(trees.sizes)), trees.sizes)
    place = np.arange(len(tree)) - np.repeat(starts, trees.sizes)
    leaf = trees.left < 0
    added = trees.values != 0
    added[leaf & ~added.any(axis=1), 0] = True  # each leaf says something, if it be 0
    at, output = np.nonzero(leaf[:, None] & added)
    return {
        "base_values": trees.base,
        "nodes_treeids": tree + first_tree,
        "nodes_nodeids": place,
        "nodes_featureids": trees.feature + column,
        "nodes_values": trees.threshold,
        "nodes_modes": np.where(leaf, _LEAF, _BRANCH),
        "nodes_truenodeids": np.maximum(trees.left, 0),
        "nodes_falsenodeids": np.maximum(trees.right, 0),
        "nodes_missing_value_tracks_true": trees.gaps_left.astype(int),
        "target_treeids": tree[at] + first_tree,
        "target_nodeids": place[at],
        "target_ids": output + first_output,
        "target_weights": trees.values[at, output],
    }
