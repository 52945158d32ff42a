from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.data.checks import Report, check_data
from include.data.runtime import platform_problems, resource_problems
from include.specs import Platform, SpecError, load_platform
from include.steps import check
from include.steps.catalogue import STEPS
from tests.unit.data.source_contract import frame, spec_of


@pytest.fixture
def checked(tmp_path: Path, platform: Platform) -> Callable[..., Report]:
    """Return a check of the contract's rows, changed by ``change``, against a changed spec."""

    def run(change: Any = lambda rows: rows, **parts: Any) -> Report:
        change(frame(100)).to_parquet(tmp_path / "x.parquet")
        return check_data(spec_of({"path": str(tmp_path / "x.parquet")}, **parts), platform)

    return run


def texts(report: Report) -> str:
    return "\n".join(map(str, report.problems))


def test_a_good_spec_has_no_problem(checked: Callable[..., Report]) -> None:
    report = checked()
    assert (report.problems, report.rows, report.columns) == ([], 100, 7)


def test_every_problem_is_reported_at_once(checked: Callable[..., Report]) -> None:
    report = checked(
        problem={"type": "binary", "target": "targt"},
        time="hapened",
        data={
            "id": "kee",
            "group": "grp",
            "quality": {"expectations": [{"type": "expect_column_values_to_be_betwen"}]},
        },
        features={"include": ["cuont"], "exclude": ["txt"], "numeric": ["Amout"], "categorical": ["falg"]},
    )
    found = texts(report)
    assert len(report.problems) == 9
    for field, hint in [
        ("problem.target", "'target'"),
        ("data.time", "'happened'"),
        ("data.id", "'key'"),
        ("data.group", "use one of"),
        ("features.include", "'count'"),
        ("features.exclude", "'text'"),
        ("features.numeric", "'Amount'"),
        ("features.categorical", "'flag'"),
        ("data.quality.expectations.0.type", "between"),
    ]:
        assert any(f"demo.yaml: {field}" in line and hint in line for line in found.splitlines()), field


def test_a_broken_time_column_hides_no_other_problem(checked: Callable[..., Report]) -> None:
    found = texts(checked(lambda rows: rows.assign(happened="soon", target=1)))
    assert "data.time" in found
    assert "constant" in found


@pytest.mark.parametrize(
    ("target", "problem", "text"),
    [
        (lambda n: n * 0 + 1, {"type": "binary"}, "constant: its only class is 1"),
        (lambda n: n * 0.0, {"type": "regression"}, "constant: its only value is 0.0"),
        (lambda n: n * np.nan, {"type": "binary"}, "no value at all"),
        (
            lambda n: n % 3,
            {"type": "binary"},
            "has 3 classes (0, 1, 2); a binary model needs two → use type multiclass",
        ),
        (lambda n: n % 2, {"type": "multiclass"}, "has two classes → use type binary"),
        (lambda n: [f"c{one}" for one in n], {"type": "regression"}, "holds no numbers (string: 'c0'"),
        (lambda n: n, {"type": "multiclass"}, None),
        (lambda n: pd.date_range("2025", periods=100), {"type": "binary"}, "holds times"),
        (lambda n: n % 2, {"type": "binary", "positive": 2}, "has no value 2"),
        (lambda n: np.where(n % 2, "Yes", "No"), {"type": "binary", "positive": "yse"}, "use one of: No, Yes"),
        (lambda n: np.where(n % 2, "left", "stayed"), {"type": "binary", "positive": "stayd"}, "did you mean 'stayed'"),
        (lambda n: np.where(n % 2, "Yes", "No"), {"type": "binary", "positive": True}, None),
        (lambda n: np.where(n % 2, 1.0, 0.0), {"type": "binary", "positive": 1}, None),
        (lambda n: n % 2 == 0, {"type": "binary", "positive": True}, None),
        (lambda n: np.where(n < 20, n % 2, np.nan), {"type": "binary"}, "20 rows have a target, fewer than"),
    ],
)
def test_the_target(checked: Callable[..., Report], target: Any, problem: Any, text: str | None) -> None:
    report = checked(lambda rows: rows.assign(target=target(np.arange(100))), problem={**problem, "target": "target"})
    assert text is None or text in texts(report)
    assert len(report.problems) == (text is not None)


def test_too_few_rows(checked: Callable[..., Report]) -> None:
    assert "49 rows, fewer than data.min_rows (50)" in texts(checked(lambda rows: rows[:49]))
    assert "data.min_rows" in texts(checked(data={"window": "20h"}))


def test_an_all_null_column_is_a_warning_unless_it_is_asked_for(checked: Callable[..., Report]) -> None:
    report = checked(lambda rows: rows.assign(nothing=None))
    assert report.problems == []
    assert "column 'nothing' holds no value" in str(report.warnings[0])
    report = checked(lambda rows: rows.assign(nothing=None), features={"include": ["nothing", "count"]})
    assert "features.include: column 'nothing' holds no value" in texts(report)


def test_warnings_do_not_end_a_run(checked: Callable[..., Report]) -> None:
    def change(rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows.assign(key=["same"] * 3 + rows["key"].tolist()[3:], target=(rows["count"] < 3).astype(float))
        return rows.assign(target=rows["target"].where(rows["count"] != 50))

    report = checked(change)
    assert report.problems == []
    warned = "\n".join(map(str, report.warnings))
    assert "class 1.0 has 3 rows" in warned
    assert "1 of 100 rows have no target" in warned
    assert "2 rows repeat a value of 'key'" in warned


def test_roles_that_exclude_each_other(checked: Callable[..., Report]) -> None:
    features = {"include": ["target"], "exclude": ["count"], "numeric": ["count", "text"], "categorical": ["text"]}
    found = texts(checked(data={"id": "target"}, features=features))
    for text in ("data.id: 'target' is the target too", "features.include: 'target' is the target", "excluded too"):
        assert text in found
    assert "features.numeric: 'text' is listed as categorical too" in found


def test_a_source_that_cannot_be_read_is_a_problem_beside_the_others(platform: Platform) -> None:
    quality = {"expectations": [{"type": "expect_nothing_at_all"}]}
    report = check_data(spec_of({"path": "nowhere.csv"}, data={"quality": quality}), platform)
    assert "there is no file nowhere.csv" in texts(report)
    assert "no expectation 'expect_nothing_at_all'" in texts(report)


def test_a_laptop_has_no_problem_with_its_platform(platform: Platform) -> None:
    assert platform_problems(platform) == []


def test_pods_need_stores_that_they_reach(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORY_RUNTIME", "kubernetes")
    load_platform.cache_clear()
    found = platform_problems(load_platform())
    assert [problem.where.removeprefix("platform.yaml: ") for problem in found] == [
        "artifacts_uri",
        "database_uri",
        "mlflow_uri",
        "serving_url",
    ]
    assert "FACTORY_ARTIFACTS_URI" in found[0].fix
    for name, value in {
        "ARTIFACTS_URI": "s3://bucket/factory",
        "DATABASE_URI": "postgresql://user:hunter2@db/factory",
        "MLFLOW_URI": "http://mlflow:5500",
        "SERVING_URL": "http://serving:8500",
    }.items():
        monkeypatch.setenv(f"FACTORY_{name}", value)
    load_platform.cache_clear()
    assert platform_problems(load_platform()) == []
    outside = resource_problems(spec_of({"path": str(tmp_path / "x.csv")}), load_platform(), STEPS)
    assert "a pod does not see" in str(outside[0])


def test_pod_resources_are_checked_whatever_the_runtime(platform: Platform) -> None:
    wanted = {"serach": {}, "search": {"requests": {"cpus": "2", "memory": "4GB"}, "limits": {"cpu": "500m"}}}
    found = "\n".join(map(str, resource_problems(spec_of({"path": "x.csv"}, resources=wanted), platform, STEPS)))
    assert "no step 'serach' → did you mean 'search'" in found
    assert "'cpus' is no Kubernetes resource → did you mean 'cpu'" in found
    assert "'4GB' is no Kubernetes quantity" in found
    assert "500m" not in found.replace("such as 500m", "")


@pytest.mark.parametrize(
    ("uri", "runtime", "said"),
    [
        ("", "process", None),
        ("", "kubernetes", "a journal file of one pod"),
        ("sqlite:///optuna.db", "process", "only PostgreSQL can be shared"),
        ("postgresql+psycopg2://user:hunter2@db/optuna", "kubernetes", None),
    ],
)
def test_workers_of_a_search_need_a_place_to_meet(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, uri: str, runtime: str, said: str | None
) -> None:
    monkeypatch.setenv("FACTORY_OPTUNA_URI", uri)
    monkeypatch.setenv("FACTORY_RUNTIME", runtime)
    load_platform.cache_clear()
    spec = spec_of({"type": "dataset", "name": "diabetes"}, search={"workers": 2})
    found = resource_problems(spec, load_platform(), STEPS)
    assert [said in str(one) and "search.workers" in str(one) for one in found] == ([True] if said else [])
    assert "hunter2" not in str(found)


def test_the_step_fails_with_every_problem_and_leaves_them_as_json(context: Any, tmp_path: Path) -> None:
    frame(100).to_parquet(tmp_path / "x.parquet")
    spec = spec_of({"path": str(tmp_path / "x.parquet")})
    outcome = check.run(context(spec, "check"))
    assert outcome.values == {"rows": 100, "columns": 7, "warnings": []}
    broken = spec.model_copy(update={"problem": spec.problem.model_copy(update={"target": "targt"})})
    given = context(broken, "check", run="automl_pipeline.other")
    with pytest.raises(SpecError, match=r"did you mean 'target'"):
        check.run(given)
    assert json.loads((given.work / "check.json").read_text())["problems"][0]["fix"] == "did you mean 'target'?"


SPEC = """
name: {name}
owner: tests
data: {{source: {{path: {path}}}, {extra}}}
problem: {{type: binary, target: target}}
"""


def make_check(folder: Path, *arguments: str) -> tuple[int, str]:
    environment = {**os.environ, "FACTORY_MODELS_DIR": str(folder)}
    command = [sys.executable, "-m", "include.steps.check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_make_check_reports_every_file(tmp_path: Path, platform: Platform) -> None:
    folder, data = tmp_path / "models", tmp_path / "x.parquet"
    folder.mkdir()
    frame(100).to_parquet(data)
    (folder / "good.yaml").write_text(SPEC.format(name="good", path=data, extra="id: key"))
    assert make_check(folder) == (0, "✓ good: 100 rows, 7 columns\nno problem\n")
    (folder / "double.yaml").write_text(SPEC.format(name="good", path=data, extra="id: key"))
    (folder / "typing.yaml").write_text(SPEC.format(name="typing", path=data, extra="tiem: happened"))
    (folder / "bad.yaml").write_text(SPEC.format(name="bad", path=data, extra="id: kee"))
    code, output = make_check(folder)
    assert code == 1
    assert "duplicate model name 'good'" in output
    assert "unknown field 'tiem' → did you mean 'time'?" in output
    assert "no column 'kee' → did you mean 'key'?" in output
    assert "✓ good" in output
    assert output.endswith("3 problems\n")


def test_make_check_of_one_model(tmp_path: Path, platform: Platform) -> None:
    frame(100).to_parquet(tmp_path / "x.parquet")
    (tmp_path / "good.yaml").write_text(SPEC.format(name="good", path=tmp_path / "x.parquet", extra="id: key"))
    (tmp_path / "bad.yaml").write_text("name: bad")
    assert make_check(tmp_path, "good")[0] == 0
    code, output = make_check(tmp_path, "goood")
    assert code == 1
    assert "did you mean 'good'" in output


def test_a_check_imports_no_more_than_it_needs() -> None:
    script = (
        "import sys; from include.steps import check, snapshot, validate; from include.specs import *;"
        "check.check_model(load_spec('churn'), load_platform());"
        "heavy = {'great_expectations', 'feast', 'mlflow', 'sklearn', 'sqlalchemy.orm', 'optuna', 'xgboost'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FACTORY_")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"


def test_a_query_that_does_not_read_is_told_before_it_runs(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    source = {"type": "sql", "uri": f"sqlite:///{tmp_path / 'x.db'}", "query": "DELETE FROM t"}
    assert "data.source.query: the query does not read rows" in texts(check_data(spec_of(source), platform))


def test_weights_are_looked_at_before_anything_is_trained(checked: Callable[..., Report]) -> None:
    problem = {"type": "binary", "target": "target", "weight": "w"}
    assert checked(lambda rows: rows.assign(w=1.5), problem=problem).problems == []
    assert "problem.weight: the data has no column 'w'" in texts(checked(problem=problem))
    wrong = texts(checked(lambda rows: rows.assign(w=[-1.0, None, *[1.0] * 98]), problem=problem))
    assert "'w' is missing or no number in 1 rows" in wrong and "'w' is negative in 1 rows" in wrong
    assert "'w' is 0 in every row" in texts(checked(lambda rows: rows.assign(w=0), problem=problem))
    listed = checked(lambda rows: rows.assign(w=1.5), problem=problem, features={"numeric": ["w"]})
    assert "'w' is the weight of the rows" in texts(listed)
