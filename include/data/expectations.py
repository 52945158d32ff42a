"""Expectations: those that the owner declares, and those proposed from a model's first snapshot.

Only names and arguments are handled here, from the schemas that Great Expectations ships, so that a spec is checked
without the seconds that importing it takes; `include.data.validation` runs them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from include.data.problems import missing_column, where
from include.specs import FactoryError, ModelSpec, Problem, did_you_mean
from include.store.artifacts import ArtifactStore

Consequence = Literal["quarantine", "reject", "warn"]
COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
COLUMN_LISTS = ("column_list",)
_OWN_FIELDS = {"id", "meta", "notes", "result_format", "description", "catch_exceptions", "rendered_content", "windows"}
_OWN_FIELDS |= {"batch_id", "metadata"}
_KINDS = {"number": ["int64", "float64"], "boolean": ["bool", "int64", "float64"], "string": ["str"]}
_FEW = 20
"""String columns with at most so many distinct values get a set of values proposed."""
_SLACK = 0.25
"""How far beyond the seen range, as a share of it, a proposed range reaches."""
_MOSTLY = 0.99
"""Share of rows for which a proposed range, set or completeness must hold."""


@dataclass(frozen=True)
class Rule:
    """An expectation, and what follows when it fails.

    Attributes:
        type: name in snake case.
        kwargs: its arguments.
        source: declared by the owner, or proposed.
        consequence: quarantine: failing rows are set aside; reject: the run ends; warn: the run goes on.
    """

    type: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    source: Literal["declared", "proposed"] = "declared"
    consequence: Consequence = "quarantine"

    @property
    def columns(self) -> list[str]:
        """The columns that it needs."""
        named = [self.kwargs[key] for key in COLUMN_ARGUMENTS if isinstance(self.kwargs.get(key), str)]
        lists = [self.kwargs[key] for key in COLUMN_LISTS if isinstance(self.kwargs.get(key), (list, tuple))]
        return [*named, *(str(column) for listed in lists for column in listed)]

    @property
    def title(self) -> str:
        """Column and expectation, for messages."""
        return f"{', '.join(self.columns)}: {self.type}" if self.columns else self.type


def declared(spec: ModelSpec) -> list[Rule]:
    """Return the rules that the spec declares."""
    quality = spec.data.quality
    return [Rule(one.type, dict(one.kwargs), "declared", quality.on_failure) for one in quality.expectations]


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Path]:
    """Return every expectation that Great Expectations ships: name in snake case → JSON schema of its arguments."""
    package = find_spec("great_expectations")
    if package is None or not package.submodule_search_locations:
        raise FactoryError("great_expectations is not installed; run 'make env'")
    core = Path(package.submodule_search_locations[0]) / "expectations" / "core"
    schemas = {file.stem.lower(): file for file in (core / "schemas").glob("Expect*.json")}
    names = [file.stem for file in core.glob("expect_*.py")]
    return {name: schemas[key] for name in names if (key := name.replace("_", "")) in schemas}


def problems(spec: ModelSpec, columns: Iterable[str] | None) -> list[Problem]:
    """Return what is wrong with the declared expectations: names, arguments, and columns where these are known."""
    found: list[Problem] = []
    listed = list(columns) if columns is not None else None
    for number, one in enumerate(spec.data.quality.expectations):
        place = f"data.quality.expectations.{number}"
        if one.type not in catalogue():
            hint = did_you_mean(one.type, catalogue())
            found.append(Problem(where(spec, f"{place}.type"), f"there is no expectation '{one.type}'", hint))
            continue
        found += _argument_problems(spec, f"{place}.kwargs", one.type, one.kwargs)
        if listed is not None:
            missing = [name for name in Rule(one.type, dict(one.kwargs)).columns if name not in listed]
            found += [missing_column(spec, f"{place}.kwargs", name, listed) for name in missing]
    return found


def _argument_problems(spec: ModelSpec, place: str, name: str, kwargs: Mapping[str, Any]) -> list[Problem]:
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    schema = json.loads(catalogue()[name].read_text(encoding="utf-8"))
    known = set(schema["properties"]) - _OWN_FIELDS
    found = [
        Problem(where(spec, f"{place}.{key}"), f"'{name}' takes no argument '{key}'", did_you_mean(key, known))
        for key in kwargs
        if key not in known
    ]
    given = {key: value for key, value in kwargs.items() if key in known}
    for error in Draft202012Validator(schema).iter_errors(given):
        if error.validator == "required":
            key = next(key for key in schema["required"] if key not in given)
            found.append(Problem(where(spec, place), f"'{name}' needs the argument '{key}'", f"add '{key}'"))
        elif error.path:
            kinds = _shown_types(error.schema)
            message = f"{error.instance!r} does not suit '{error.path[0]}'"
            found.append(Problem(where(spec, f"{place}.{error.path[0]}"), message, kinds and f"give {kinds}"))
    return list(dict.fromkeys(found))


def _shown_types(schema: Mapping[str, Any]) -> str:
    options = schema.get("anyOf", [schema])
    kinds = [option.get("format") or option.get("type") for option in options if option.get("type") != "object"]
    return " or ".join(dict.fromkeys(str(kind) for kind in kinds if kind))


def propose(spec: ModelSpec, profile: Mapping[str, Any]) -> list[Rule]:
    """Return the rules that later snapshots are held against, from the profile of the first one.

    A column that is gone or of another type rejects the run. Ranges, sets, completeness and uniqueness warn only: the
    world is allowed to drift, and drift is what retraining is for.
    """
    rules: list[Rule] = []
    for name, column in profile["columns"].items():
        if name in spec.features.exclude:
            continue
        rules.append(Rule("expect_column_to_exist", {"column": name}, "proposed", "reject"))
        if column["distinct"]:
            rules += _proposed(name, column, profile["rows"], name == spec.data.id)
    return rules


def _proposed(name: str, column: Mapping[str, Any], rows: int, is_id: bool) -> list[Rule]:
    rules: list[Rule] = []

    def rule(kind: str, consequence: Consequence = "warn", **arguments: Any) -> None:
        rules.append(Rule(kind, {"column": name, **arguments}, "proposed", consequence))

    if column["kind"] in _KINDS:
        rule("expect_column_values_to_be_in_type_list", "reject", type_list=_KINDS[column["kind"]])
    complete = max(0.0, _MOSTLY - 1.5 * column["nulls"] / rows - (0.02 if column["nulls"] else 0))
    if complete > 0:
        rule("expect_column_values_to_not_be_null", mostly=round(complete, 4))
    if is_id and column["distinct"] == rows:
        rule("expect_column_values_to_be_unique")
    elif column["kind"] == "number":
        slack = _SLACK * (column["max"] - column["min"])
        low = column["min"] - (0 if column["min"] == 0 else slack)  # what starts at zero is a count or an amount
        rule("expect_column_values_to_be_between", min_value=low, max_value=column["max"] + slack, mostly=_MOSTLY)
    elif column["kind"] == "string" and column["distinct"] <= _FEW and column["distinct"] < rows / 10:
        rule("expect_column_values_to_be_in_set", value_set=sorted(column["top"]), mostly=_MOSTLY)
    return rules


class SuiteStore:
    """The proposed suite of a model, kept at ``suites/<model>/suite.json`` of the artifact store."""

    def __init__(self, store: ArtifactStore, spec: ModelSpec) -> None:
        self._store, self._spec = store, spec
        self.path = f"suites/{spec.name}/suite.json"

    def load(self) -> list[Rule] | None:
        """Return the kept rules; None when there are none, or the spec's data part changed since."""
        if not self._store.exists(self.path):
            return None
        kept = json.loads(self._store.read_bytes(self.path))
        return [Rule(**rule) for rule in kept["rules"]] if kept["data"] == self._data() else None

    def save(self, rules: Sequence[Rule], snapshot: str) -> None:
        """Keep ``rules``, proposed from the snapshot of that digest."""
        content = {"snapshot": snapshot, "data": self._data(), "rules": [asdict(rule) for rule in rules]}
        self._store.write_bytes(self.path, json.dumps(content, indent=2).encode())

    def _data(self) -> str:
        """Return the digest of what decides which columns there are and what they hold."""
        parts = [self._spec.data.source.model_dump_json(), self._spec.data.id, self._spec.features.model_dump_json()]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
