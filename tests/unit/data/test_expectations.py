from __future__ import annotations

from typing import Any

import pytest

from include.data.expectations import Rule, SuiteStore, catalogue, declared, problems, propose
from include.data.profile import profile
from include.specs import ModelSpec, Platform
from include.store.artifacts import ArtifactStore
from tests.unit.data.source_contract import frame, spec_of


def with_expectation(kind: str, on_failure: str = "quarantine", **kwargs: Any) -> ModelSpec:
    quality = {"expectations": [{"type": kind, "kwargs": kwargs}], "on_failure": on_failure}
    return spec_of({"path": "x.csv"}, data={"quality": quality})


def test_the_catalogue_is_that_of_the_installed_library() -> None:
    assert len(catalogue()) > 50
    assert {"expect_column_values_to_be_between", "expect_column_kl_divergence_to_be_less_than"} <= set(catalogue())
    assert all(file.is_file() for file in catalogue().values())


@pytest.mark.parametrize(
    ("kind", "kwargs", "place", "text"),
    [
        ("expect_column_values_to_be_betwen", {}, "0.type", "did you mean 'expect_column_values_to_be_between'"),
        ("expect_column_values_to_be_between", {"column": "count", "min_valu": 0}, "0.kwargs.min_valu", "'min_value'"),
        ("expect_column_values_to_be_between", {"min_value": 0}, "0.kwargs", "needs the argument 'column'"),
        ("expect_column_values_to_be_between", {"column": "cuont", "min_value": 0}, "0.kwargs", "mean 'count'"),
        ("expect_column_values_to_be_between", {"column": "count", "min_value": [1]}, "min_value", "does not suit"),
        ("expect_column_values_to_be_in_set", {"column": "text", "value_set": 3}, "value_set", "does not suit"),
        ("expect_column_values_to_be_unique", {"column": "key", "mostly": 2}, "mostly", "does not suit"),
        ("expect_column_pair_values_to_be_equal", {"column_A": "count", "column_B": "x"}, "0.kwargs", "column 'x'"),
        ("expect_compound_columns_to_be_unique", {"column_list": ["key", "txt"]}, "0.kwargs", "mean 'text'"),
    ],
)
def test_a_wrong_expectation_is_found_without_running_it(
    kind: str, kwargs: dict[str, Any], place: str, text: str
) -> None:
    (problem,) = problems(with_expectation(kind, **kwargs), list(frame()))
    assert "data.quality.expectations.0" in problem.where
    assert problem.where.endswith(place)
    assert text in str(problem)


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_values_to_be_between", {"column": "count", "min_value": 0, "strict_min": True}),
        ("expect_column_values_to_be_between", {"column": "happened", "max_value": "2030-01-01"}),
        ("expect_column_values_to_be_in_set", {"column": "text", "value_set": ["a", "b"], "mostly": 0.9}),
        ("expect_column_values_to_match_regex", {"column": "key", "regex": "^k"}),
        ("expect_table_row_count_to_be_between", {"min_value": 10}),
        ("expect_table_columns_to_match_set", {"column_set": ["a"], "exact_match": False}),
        ("expect_column_values_to_not_be_null", {"column": "count"}),
    ],
)
def test_a_right_expectation_is_no_problem(kind: str, kwargs: dict[str, Any]) -> None:
    assert problems(with_expectation(kind, **kwargs), list(frame())) == []


def test_what_follows_is_what_the_spec_says() -> None:
    for consequence in ("quarantine", "reject"):
        (rule,) = declared(with_expectation("expect_column_values_to_be_unique", consequence, column="key"))
        assert rule == Rule("expect_column_values_to_be_unique", {"column": "key"}, "declared", consequence)


def test_structure_rejects_and_distribution_warns() -> None:
    rules = propose(spec_of({"path": "x.csv"}, features={"exclude": ["text"]}), profile(frame()))
    by_name = {(rule.kwargs["column"], rule.type): rule for rule in rules}
    assert {rule.consequence for rule in rules if rule.type == "expect_column_to_exist"} == {"reject"}
    assert {rule.consequence for rule in rules if rule.type.endswith("in_type_list")} == {"reject"}
    assert {rule.consequence for rule in rules if "values_to_be_between" in rule.type} == {"warn"}
    assert not any(rule.kwargs["column"] == "text" for rule in rules)
    assert by_name["key", "expect_column_values_to_be_unique"].consequence == "warn"
    between = by_name["count", "expect_column_values_to_be_between"].kwargs
    assert (between["min_value"], between["max_value"]) == (0, 59 * 1.25)


def test_the_suite_is_kept_until_the_data_part_of_the_spec_changes(platform: Platform) -> None:
    store, spec = ArtifactStore.of(platform), spec_of({"path": "x.csv"})
    suite = SuiteStore(store, spec)
    assert suite.load() is None
    rules = propose(spec, profile(frame()))
    suite.save(rules, "digest")
    assert SuiteStore(store, spec_of({"path": "x.csv"}, search={"folds": 3})).load() == rules
    assert SuiteStore(store, spec_of({"path": "y.csv"})).load() is None
