"""Tables as nobody wants them: each ends in a sensible model, or in a message that says what is wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.automl.bench import Bench, Configuration
from include.automl.families import find_family
from include.evaluation.metrics import metric
from include.features.plan import build_plan
from include.features.preparation import Preparation, prepare_rows
from include.features.prepared import Prepared
from include.inference.encoder import Encoder
from include.inference.frames import rows_of
from include.specs import FactoryError, ModelSpec
from include.specs.training import METRICS, Features

ROWS = 120


@dataclass(frozen=True)
class Case:
    """A table and what it must lead to.

    Attributes:
        frame: the table; the target is ``y``.
        kind: the problem's type.
        says: what the message must say; empty where there must be a model.
        kept: columns that must be features.
        dropped: columns that must not be, and what their reason says.
    """

    frame: pd.DataFrame
    kind: str = "binary"
    says: str = ""
    kept: tuple[str, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()


def table(rows: int = ROWS, kind: str = "binary", **columns: Any) -> pd.DataFrame:
    """Return an honest column, a target that follows it, and ``columns``."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows)
    y: Any = x + rng.normal(size=rows)
    if kind == "binary":
        y = (y > 0).astype(int)
    elif kind == "multiclass":
        y = np.digitize(y, [-0.7, 0.7])
    return pd.DataFrame({"x": x, **columns, "y": y})


def wide(rows: int) -> pd.DataFrame:
    """Return far more columns than rows."""
    noise = np.random.default_rng(2).normal(size=(rows, 2000))
    return pd.DataFrame(noise, columns=[f"c{number}" for number in range(2000)]).assign(y=np.arange(rows) % 2)


RNG = np.random.default_rng(1)
NOISE = RNG.normal(size=ROWS)


def twice(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return ``frame`` with a second column of the same name."""
    return pd.concat([frame, frame[[name]] * 2], axis=1)


CASES: dict[str, Callable[[], Case]] = {
    "no row": lambda: Case(table().head(0), says="no value in any row"),
    "one row": lambda: Case(table().head(1), says="one class only"),
    "two rows": lambda: Case(table().sort_values("y").iloc[[0, -1]], says="cannot be split|too few"),
    "one row of a regression": lambda: Case(table(kind="regression").head(1), "regression", says="constant"),
    "three rows of a regression": lambda: Case(table(kind="regression").head(3), "regression"),
    "no feature": lambda: Case(table()[["y"]], says="no column is left"),
    "one class": lambda: Case(table().assign(y=1), says="one class only"),
    "constant numbers": lambda: Case(table().assign(y=1.5), "regression", says="constant"),
    "a class of one row": lambda: Case(table().assign(y=[1] + [0] * (ROWS - 1)), says="cannot be split|too few"),
    "a class of one row among several": lambda: Case(
        table(kind="multiclass").assign(y=lambda frame: [9, *frame["y"][1:]]),
        "multiclass",
        says="cannot be split|too few",
    ),
    "no target": lambda: Case(table().assign(y=None), says="no value in any row"),
    "target with gaps": lambda: Case(table().assign(y=lambda frame: frame["y"].where(NOISE > 0)), kept=("x",)),
    "text as numbers' target": lambda: Case(table().assign(y="abc"), "regression", says="is not numeric"),
    "infinite target": lambda: Case(
        table(kind="regression").assign(y=lambda frame: [np.inf, -np.inf, *frame["y"][2:]]), "regression", kept=("x",)
    ),
    "true and false as text": lambda: Case(table().assign(y=lambda frame: np.where(frame["y"] > 0, "True", "False"))),
    "negative zero": lambda: Case(table(zero=np.where(NOISE > 0, 0.0, -0.0)), dropped=(("zero", "same value"),)),
    "all null": lambda: Case(table(a=None, b=np.nan, c=pd.NaT, d=""), dropped=tuple((c, "no value") for c in "abcd")),
    "constant": lambda: Case(table(a=1, b="x", c=True), dropped=tuple((name, "same value") for name in "abc")),
    "constant with gaps": lambda: Case(table(a=np.where(NOISE > 0, 1.0, np.nan)), kept=("a",)),
    "copies": lambda: Case(table(a=NOISE, b=NOISE), kept=("a",), dropped=(("b", "same values"),)),
    "names twice": lambda: Case(twice(table(a=NOISE), "a"), says="2 columns are called 'a'"),
    "infinite numbers": lambda: Case(
        table(a=np.where(NOISE > 1, np.inf, np.where(NOISE < -1, -np.inf, NOISE))), kept=("a",)
    ),
    "all infinite": lambda: Case(table(a=np.where(NOISE > 0, np.inf, -np.inf)), dropped=(("a", "no value"),)),
    "mixed types": lambda: Case(
        table(a=[[1, "b", 2.5, None, True, dt.date(2026, 1, 1)][row % 6] for row in range(ROWS)]), kept=("a",)
    ),
    "many categories": lambda: Case(
        table(12_000, a=[f"level {row % 10_000}" for row in range(12_000)]), kept=("x", "a")
    ),
    "categories with a row each": lambda: Case(
        table(a=[f"token{row}" for row in range(ROWS)]), dropped=(("a", "identifies"),)
    ),
    "dates as text": lambda: Case(
        table(a=[f"2026-{row % 12 + 1:02}-{row % 28 + 1:02}" for row in range(ROWS)]), kept=("a",)
    ),
    "dates written otherwise": lambda: Case(
        table(a=[f"{row % 28 + 1}/{row % 12 + 1}/2026" for row in range(ROWS)]), kept=("a",)
    ),
    "impossible dates": lambda: Case(table(a=[f"2026-13-{row % 28 + 40}" for row in range(ROWS)]), kept=("a",)),
    "unicode": lambda: Case(
        table(**{"größe ☃": NOISE, "名前": ["東京", "大阪", "ñandú"] * (ROWS // 3)}), kept=("größe ☃", "名前")
    ),
    "empty and odd names": lambda: Case(
        table(
            **{
                "": NOISE,
                " ": NOISE**2,
                'a "b" [c] <d>': NOISE**3,
                "e,f:{g}": NOISE + 1,
                "x=y / z": NOISE * RNG.random(ROWS),
            }
        ),
        kept=("", " ", 'a "b" [c] <d>', "e,f:{g}"),
    ),
    "numbers as names": lambda: Case(table().assign(a=NOISE).rename(columns={"a": 7}), kept=("7",)),
    "names as the house uses": lambda: Case(
        table(__target__=NOISE, __group__=NOISE * 2), kept=("__target__", "__group__")
    ),
    "long names": lambda: Case(table(**{"n" * 5000: NOISE}), kept=("n" * 5000,)),
    "a copy of the target": lambda: Case(
        table().assign(z=lambda frame: frame["y"].map({0: "no", 1: "yes"})), dropped=(("z", "in other words"),)
    ),
    "five rows, many columns": lambda: Case(wide(5), says="too few training rows"),
    "few rows, many columns": lambda: Case(wide(20)),
    "huge and tiny numbers": lambda: Case(
        table(a=NOISE * 1e300, b=NOISE * 1e-300, c=np.exp(NOISE * 100)), kept=("a", "b", "c")
    ),
    "huge target": lambda: Case(
        table(kind="regression").assign(y=lambda frame: frame["y"] * 1e300), "regression", says="use another unit"
    ),
    "tiny target": lambda: Case(
        table(kind="regression").assign(y=lambda frame: frame["y"] * 1e-300), "regression", says="use another unit"
    ),
    "decimals": lambda: Case(table(a=[Decimal(row) / 7 for row in range(ROWS)]), kept=("a",)),
    "times": lambda: Case(table(a=[dt.time(row % 24) for row in range(ROWS)]), kept=("a",)),
    "durations": lambda: Case(table(a=pd.to_timedelta(RNG.integers(1, 10**6, ROWS), unit="s")), kept=("a",)),
    "lists": lambda: Case(
        table(a=[[1, 2]] * ROWS, b=[{"k": 1}] * ROWS), dropped=(("a", "lists or objects"), ("b", "lists or objects"))
    ),
    "bytes": lambda: Case(table(a=[b"ab"] * ROWS), dropped=(("a", "lists or objects"),)),
    "arrays and objects": lambda: Case(
        table(a=[np.arange(3)] * ROWS, b=[object() for _ in range(ROWS)]),
        dropped=(("a", "lists or objects"), ("b", "lists or objects")),
    ),
    "complex numbers": lambda: Case(table(a=NOISE + 1j), dropped=(("a", "complex"),)),
    "categories": lambda: Case(
        table(a=pd.Categorical(["p", "q", None] * (ROWS // 3)), b=pd.Categorical(RNG.integers(0, 9, ROWS))),
        kept=("a", "b"),
    ),
    "pandas' own types": lambda: Case(
        table(
            a=pd.array([1, None] * (ROWS // 2), dtype="Int64"),
            b=pd.array([True, None, False] * (ROWS // 3), dtype="boolean"),
            c=pd.array(["u", None, "v"] * (ROWS // 3), dtype="string"),
            d=pd.array(NOISE, dtype="Float32"),
        ),
        kept=("a", "b", "c", "d"),
    ),
    "sparse": lambda: Case(table(a=pd.arrays.SparseArray(np.where(NOISE > 1, NOISE, 0.0))), kept=("a",)),
    "periods": lambda: Case(table(a=pd.period_range("2020-01", periods=40, freq="M").tolist() * 3), kept=("a",)),
    "intervals": lambda: Case(table(a=pd.cut(NOISE, 5)), kept=("a",)),
    "zones mixed": lambda: Case(
        table(
            a=[
                pd.Timestamp("2026-01-01", tz=("UTC", "Asia/Tokyo", None)[row % 3]) + pd.Timedelta(row, "h")
                for row in range(ROWS)
            ]
        ),
        kept=("a",),
    ),
    "times beyond nanoseconds": lambda: Case(table(a=[dt.datetime(1 + row * 80, 1, 1) for row in range(ROWS)])),
    "unhashable target": lambda: Case(table().assign(y=[[0], [1]] * (ROWS // 2)), says="holds lists or objects"),
    "dates as target": lambda: Case(
        table().assign(y=[dt.date(2026, 1, 1), dt.date(2026, 1, 2)] * (ROWS // 2)), kept=("x",)
    ),
    "nullable target": lambda: Case(
        table().assign(y=lambda frame: frame["y"].astype("Int64").where(NOISE > -1)), kept=("x",)
    ),
    "category as target": lambda: Case(
        table().assign(y=lambda frame: pd.Categorical(frame["y"], categories=[0, 1, 2])), kept=("x",)
    ),
    "free text with surrogates": lambda: Case(table(a=[f"broken \ud800 text {row}" for row in range(ROWS)])),
}


def spec(kind: str, **search: Any) -> ModelSpec:
    """Return a spec that asks for no least number of rows: what is behind that must hold too."""
    found = ModelSpec.model_validate(
        {
            "name": "nasty",
            "owner": "me",
            "data": {"source": {"type": "csv", "path": "nasty.csv"}},
            "problem": {"type": kind, "target": "y"},
            "search": search,
        }
    )
    return found.model_copy(update={"data": found.data.model_copy(update={"min_rows": 0})})


def prepared(case: Case) -> Preparation | None:
    """Return the prepared rows; None where the table must be refused, and was."""
    if case.says:
        with pytest.raises(FactoryError, match=case.says):
            prepare_rows(case.frame, spec(case.kind), ordered=False)
        return None
    return prepare_rows(case.frame, spec(case.kind), ordered=False)


@pytest.mark.parametrize("name", CASES)
def test_a_model_or_a_message(name: str, tmp_path: Path) -> None:
    """As the search does it, in this process: prepared, kept as files, fitted on a fold, encoded as it is served."""
    case = CASES[name]()
    found = prepared(case)
    if found is None:
        return
    assert set(case.kept) <= {field.name for field in found.schema.fields}
    for column, reason in case.dropped:
        assert reason in found.schema.dropped[column]
    found.prepared.save(tmp_path)
    data = Prepared.load(tmp_path)
    pd.testing.assert_frame_equal(data.train, found.prepared.train)
    bench = Bench(data, Features(), metric(METRICS[data.task][0]), 3, 7)
    for family in ("linear", "random_forest"):
        defaults = find_family(family).defaults(data.task)
        assert np.isfinite(bench.score(Configuration(family, defaults), 0, 1).score)
    plan = build_plan(data.fields, Features(), data.task, "scaled")
    plan.fit(data.train, data.train_target)
    expected = plan.transform(data.test)
    assert np.isfinite(expected).all()
    encoder = Encoder(plan.encoding([field.name for field in data.fields]), data.fields)
    np.testing.assert_array_equal(encoder.encode(rows_of(data.test, data.fields)), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_search_ends_in_a_model_or_a_message(name: str, tmp_path: Path) -> None:
    import skops.io

    from include.automl.search import Plan, search

    case = CASES[name]()
    found = prepared(case)
    if found is None:
        return
    found.prepared.save(tmp_path / "rows")
    plan = Plan(
        data=tmp_path / "rows",
        spec=spec(case.kind, parallel=1, folds=3),
        objective=metric(METRICS[found.prepared.task][0]),
        budget=4.0,
        storage=str(tmp_path / "journal.log"),
        scratch=tmp_path / "scratch",
        name="study",
    )
    result = search(plan)
    model = skops.io.load(result.file, trusted=skops.io.get_untrusted_types(file=result.file))
    answers = model.predict(found.prepared.test)
    assert len(answers) == len(found.prepared.test)
    assert np.isfinite(np.asarray(answers, dtype=float)).all()
