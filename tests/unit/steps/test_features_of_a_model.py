"""Which columns a packaged model asks for."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd

from include.automl.bench import Configuration
from include.automl.record import Record
from include.automl.result import Member
from include.features.prepared import Prepared
from include.steps.search import _features
from include.store.packages import Field


def test_a_column_is_asked_for_when_any_trial_in_the_model_reads_it() -> None:
    fields = tuple(Field(name=name, type="number") for name in "abc")
    rows, target = pd.DataFrame(np.zeros((4, 3)), columns=list("abc")), np.zeros(4)
    prepared = Prepared("regression", fields, None, rows, target, rows, target)
    one = Member(Record(0, Configuration("linear", {}, left_out=("a", "b")), "done"), 0.5)
    other = replace(one, record=Record(1, Configuration("lightgbm", {}, left_out=("b", "c")), "done"))
    whole = replace(one, record=Record(2, Configuration("knn", {}), "done"))
    for members, unused in (((one,), {"a", "b"}), ((one, other), {"b"}), ((one, other, whole), set())):
        found = _features(prepared, SimpleNamespace(members=members))  # type: ignore[arg-type]
        assert {field.name for field in found if not field.used} == unused
