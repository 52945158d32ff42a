from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.features.target import TargetError, encode_target
from include.specs.training import Problem


def problem(kind: str = "binary", **more: Any) -> Problem:
    return Problem.model_validate({"type": kind, "target": "y", **more})


@pytest.mark.parametrize(
    ("values", "positive", "classes"),
    [
        (["No"] * 7 + ["Yes"] * 3, None, ("No", "Yes")),
        (["No"] * 3 + ["Yes"] * 7, None, ("Yes", "No")),
        (["No"] * 3 + ["Yes"] * 7, "Yes", ("No", "Yes")),
        (["No"] * 3 + ["Yes"] * 7, True, ("No", "Yes")),  # YAML reads a bare Yes so
        ([0, 1, 1, 1], 1, (0, 1)),
        ([0.0, 1.0, None, 1.0], 1, (0, 1)),
        ([0, 1, 1, 1], "1", (0, 1)),
        ([True, False, True, True], True, (False, True)),
        (["b", "a"] * 5, None, ("a", "b")),
        ([" <=50K"] * 3 + [" >50K"], " >50K", (" <=50K", " >50K")),
    ],
)
def test_the_positive_class_is_the_second(values: list[Any], positive: Any, classes: tuple[Any, ...]) -> None:
    target = encode_target(pd.Series(values), problem(positive=positive))
    assert target.classes == classes
    assert [type(label) for label in target.classes or ()] == [type(label) for label in classes]
    known = [value for value in values if value is not None]
    assert [classes[code] for code in target.values] == known
    assert target.known.sum() == len(known)


def test_several_classes_are_sorted() -> None:
    target = encode_target(pd.Series([10, 2, 2, 3]), problem("multiclass"))
    assert target.classes == (2, 3, 10)
    assert target.values.tolist() == [2, 0, 0, 1]
    assert encode_target(pd.Series(list("cabb")), problem("multiclass")).classes == ("a", "b", "c")


def test_a_number_as_text_is_a_number() -> None:
    target = encode_target(pd.Series(["1.5", "2", "3"] * 10 + ["", None]), problem("regression"))
    assert target.values.dtype == np.float64
    assert target.known.tolist() == [True] * 30 + [False, False]


@pytest.mark.parametrize(
    ("values", "kind", "more", "message"),
    [
        ([None, None], "binary", {}, "no value in any row"),
        (["a", "a"], "binary", {}, "one class only"),
        (["a", "b", "c"], "binary", {}, "set problem.type to multiclass"),
        (["a", "b"], "multiclass", {}, "set problem.type to binary"),
        (["Yes", "No"], "binary", {"positive": "Yess"}, "did you mean 'Yes'"),
        ([1.5] * 9, "regression", {}, "constant"),
        (["low", "high"], "regression", {}, "not numeric"),
        (list(range(1000)), "multiclass", {}, "use regression"),
    ],
)
def test_a_target_that_cannot_be_learnt_is_refused(
    values: list[Any], kind: str, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(TargetError, match=message):
        encode_target(pd.Series(values), problem(kind, **more))
