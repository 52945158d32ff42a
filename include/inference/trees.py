"""Decision trees as arrays of nodes, whichever library grew them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Link = Literal["none", "sigmoid", "softmax"]
_LIGHTGBM_LINKS: Mapping[str, Link] = {
    "binary sigmoid:1": "sigmoid",
    "multiclass": "softmax",
    "regression": "none",
    "regression_l1": "none",
}
_XGBOOST_LINKS: Mapping[str, Link] = {
    "binary:logistic": "sigmoid",
    "multi:softprob": "softmax",
    "reg:squarederror": "none",
    "reg:absoluteerror": "none",
}


_CATBOOST_LINKS: Mapping[str, Link] = {"Logloss": "sigmoid", "MultiClass": "softmax", "RMSE": "none", "MAE": "none"}


@dataclass(frozen=True)
class Trees:
    """Trees that answer rows of float32 by the sum of their leaves.

    Attributes:
        sizes: nodes of each tree, shape (trees,); in what follows the nodes of all trees lie one after the other.
        feature, threshold: a node sends a row to the left where ``row[feature] <= threshold``, shape (nodes,); the
            thresholds are float32 numbers.
        left, right: places in their tree of the nodes that follow, shape (nodes,); negative in a leaf.
        gaps_left: whether a gap goes to the left, shape (nodes,).
        values: what a leaf adds to each output, shape (nodes, outputs).
        base: what the sums begin with, shape (outputs,).
        link: what is made of the sums.
    """

    sizes: Array
    feature: Array
    threshold: Array
    left: Array
    right: Array
    gaps_left: Array
    values: Array
    base: Array
    link: Link


def trees_of(model: Any) -> Trees | None:
    """Return the trees of a fitted forest, or of a booster's estimator; None of any other model, or kind of tree."""
    library = type(model).__module__.partition(".")[0]
    read = _READERS.get((library, type(model).__name__))
    return read(model) if read else None


def _forest(model: Any) -> Trees | None:
    if model.n_outputs_ != 1:
        return None
    trees = [tree.tree_ for tree in model.estimators_]
    left, right, feature, gaps = (
        np.concatenate([getattr(tree, name) for tree in trees])
        for name in ("children_left", "children_right", "feature", "missing_go_to_left")
    )
    values = np.concatenate([tree.value[:, 0] for tree in trees]) / len(trees)
    if values.shape[1] == 2:  # of two classes the positive one is enough
        values = values[:, 1:]
    return Trees(
        sizes=np.array([tree.node_count for tree in trees]),
        feature=np.maximum(feature, 0),
        threshold=_not_above(np.concatenate([tree.threshold for tree in trees])),
        left=left,
        right=right,
        gaps_left=gaps.astype(bool),
        values=np.where(left[:, None] < 0, values, 0.0),
        base=np.zeros(values.shape[1]),
        link="none",
    )


def _lightgbm(model: Any) -> Trees | None:
    head, *parts = model.booster_.model_to_string().split("\nTree=")
    facts = _facts(head)
    objective = facts.get("objective", "").partition(" num_class")[0]
    if objective not in _LIGHTGBM_LINKS or "average_output" in head.splitlines():
        return None
    outputs = int(facts["num_tree_per_iteration"])
    trees = [_lightgbm_tree(_facts(part), np.eye(outputs)[number % outputs]) for number, part in enumerate(parts)]
    return _joined(trees, np.zeros(outputs), _LIGHTGBM_LINKS[objective])


def _lightgbm_tree(facts: Mapping[str, str], output: Array) -> Trees | None:
    """Return one tree; ``output`` has a 1 for what its leaves add to."""
    if facts["num_cat"] != "0" or facts["is_linear"] != "0":
        return None
    leaves = np.fromstring(facts["leaf_value"], sep=" ")
    inner = len(leaves) - 1
    left, right, feature, kind = (
        np.fromstring(facts.get(name, ""), dtype=np.int64, sep=" ")
        for name in ("left_child", "right_child", "split_feature", "decision_type")
    )
    threshold = np.fromstring(facts.get("threshold", ""), sep=" ")
    gap = (kind >> 2) & 3  # what counts as a gap: nothing, so that it is a zero; zeros; or what is no number
    if (gap == 1).any():
        return None
    nothing, padding = np.full(len(leaves), -1), np.zeros(len(leaves))
    children = [np.where(side < 0, inner + ~side, side) for side in (left, right)]
    return Trees(
        sizes=np.array([inner + len(leaves)]),
        feature=np.concatenate([feature, padding]).astype(int),
        threshold=np.concatenate([_not_above(threshold), padding.astype(np.float32)]),
        left=np.concatenate([children[0], nothing]),
        right=np.concatenate([children[1], nothing]),
        gaps_left=np.concatenate([np.where(gap == 0, threshold >= 0, (kind & 2) > 0), padding.astype(bool)]),
        values=np.concatenate([np.zeros(inner), leaves])[:, None] * output,
        base=np.zeros(len(output)),
        link="none",
    )


def _xgboost(model: Any) -> Trees | None:
    learner = json.loads(bytes(best_rounds(model).save_raw("json")))["learner"]
    objective, booster = learner["objective"]["name"], learner["gradient_booster"]
    if objective not in _XGBOOST_LINKS or booster["name"] != "gbtree":
        return None
    link, facts = _XGBOOST_LINKS[objective], learner["learner_model_param"]
    outputs = max(1, int(facts["num_class"]))
    base = np.broadcast_to(np.atleast_1d(np.array(json.loads(facts["base_score"]), dtype=float)), outputs)
    if link == "sigmoid":
        base = np.log(base / (1 - base))
    numbered = zip(booster["model"]["trees"], booster["model"]["tree_info"], strict=True)
    return _joined([_xgboost_tree(tree, np.eye(outputs)[output]) for tree, output in numbered], base, link)


def best_rounds(model: Any) -> Any:
    """Return the booster of an XGBoost estimator as far as the estimator answers by it: to its best round."""
    booster = model.get_booster()
    best = getattr(booster, "best_iteration", None) if getattr(model, "early_stopping_rounds", None) else None
    return booster if best is None else booster[: best + 1]


def _xgboost_tree(tree: Mapping[str, Any], output: Array) -> Trees | None:
    """Return one tree; ``output`` has a 1 for what its leaves add to."""
    if tree["categories"] or int(tree["tree_param"]["size_leaf_vector"]) > 1:
        return None
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    conditions = np.array(tree["split_conditions"], dtype=np.float32)
    return Trees(
        sizes=np.array([len(left)]),
        feature=np.where(left < 0, 0, np.array(tree["split_indices"])),
        threshold=np.nextafter(conditions, np.float32(-np.inf)),  # it sends to the left what is below
        left=left,
        right=right,
        gaps_left=np.array(tree["default_left"], dtype=bool),
        values=np.where(left < 0, conditions, 0.0)[:, None] * output,
        base=np.zeros(len(output)),
        link="none",
    )


def _catboost(model: Any) -> Trees | None:
    import tempfile
    from pathlib import Path

    link = _CATBOOST_LINKS.get(str(model.get_all_params().get("loss_function")))
    if link is None or model.get_cat_feature_indices():
        return None
    with tempfile.TemporaryDirectory(prefix="factory-") as folder:
        file = Path(folder) / "model.json"
        model.save_model(str(file), format="json")
        document = json.loads(file.read_text(encoding="utf-8"))
    if not document.get("oblivious_trees"):
        return None
    scale, bias = document["scale_and_bias"]
    base = np.atleast_1d(np.asarray(bias, dtype=float))
    features = document["features_info"]["float_features"]
    gaps_left = np.array([feature["nan_value_treatment"] != "AsTrue" for feature in features])
    trees = [_oblivious_tree(tree, scale, len(base), gaps_left) for tree in document["oblivious_trees"]]
    return _joined(trees, base, link)


def _oblivious_tree(tree: Mapping[str, Any], scale: float, outputs: int, gaps_left: Array) -> Trees | None:
    """Return one tree, whose nodes ask the same on a level; the last split is the first digit of a leaf's place."""
    splits = tree["splits"] or []
    if any(split["split_type"] != "FloatFeature" for split in splits):
        return None
    inner, leaves = 2 ** len(splits) - 1, np.asarray(tree["leaf_values"], dtype=float).reshape(-1, outputs) * scale
    level = np.repeat(np.arange(len(splits)), 2 ** np.arange(len(splits)))[:inner]
    asked = len(splits) - 1 - level
    padding = np.zeros(len(leaves), dtype=int)
    places = np.arange(inner)
    feature = np.array([split["float_feature_index"] for split in splits], dtype=int)[asked]
    return Trees(
        sizes=np.array([inner + len(leaves)]),
        feature=np.concatenate([feature, padding]),
        threshold=np.concatenate([np.array([split["border"] for split in splits], np.float32)[asked], padding]).astype(
            np.float32
        ),
        left=np.concatenate([2 * places + 1, padding - 1]),
        right=np.concatenate([2 * places + 2, padding - 1]),
        gaps_left=np.concatenate([gaps_left[feature], padding.astype(bool)]),
        values=np.concatenate([np.zeros((inner, outputs)), leaves]),
        base=np.zeros(outputs),
        link="none",
    )


_READERS: Mapping[tuple[str, str], Callable[[Any], Trees | None]] = {
    **{
        ("sklearn", f"{kind}{task}"): _forest
        for kind in ("RandomForest", "ExtraTrees")
        for task in ("Classifier", "Regressor")
    },
    **{("lightgbm", f"LGBM{task}"): _lightgbm for task in ("Classifier", "Regressor")},
    **{("xgboost", f"XGB{task}"): _xgboost for task in ("Classifier", "Regressor")},
    **{("catboost", f"CatBoost{task}"): _catboost for task in ("Classifier", "Regressor")},
}


def _joined(trees: Sequence[Trees | None], base: Array, link: Link) -> Trees | None:
    """Return single trees as a whole; None where one of them could not be read, or there is none."""
    known = [tree for tree in trees if tree is not None]
    if not known or len(known) < len(trees):
        return None
    names = [field.name for field in fields(Trees) if field.name not in ("base", "link")]
    whole = {name: np.concatenate([getattr(tree, name) for tree in known]) for name in names}
    return Trees(**whole, base=base, link=link)


def _facts(text: str) -> dict[str, str]:
    """Return the lines ``name=value`` of LightGBM's text."""
    return {name: value for name, equals, value in (line.partition("=") for line in text.splitlines()) if equals}


def _not_above(thresholds: Array) -> Array:
    """Return the largest float32 numbers that are not above ``thresholds``: they divide float32 rows alike."""
    with np.errstate(over="ignore"):
        single = thresholds.astype(np.float32)
    lower: Array = np.where(single > thresholds, np.nextafter(single, np.float32(-np.inf)), single)
    return lower.astype(np.float32)
