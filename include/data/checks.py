"""Hold a spec against its data and report every problem at once, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd

from include.data import expectations
from include.data.frames import kind_of
from include.data.problems import missing_column, where
from include.data.selection import RETRAINING, Selection, select
from include.data.sources import open_source
from include.specs import ModelSpec, Platform, Problem, SpecError, nearest
from include.specs.data import SqlSource
from include.specs.params import TrainingParams

_MANY_CLASSES = 100
_USUAL_FOLDS = 5
"""Folds of a search that is not told how many."""
_WORDS = {True: ("yes", "y", "true", "on"), False: ("no", "n", "false", "off")}


@dataclass
class Report:
    """What a check found.

    Attributes:
        problems: reasons for which a run would fail.
        warnings: what a person should know; a run goes on.
        rows, columns: size of the data that a run would use; 0 when it cannot be read.
    """

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    rows: int = 0
    columns: int = 0


def check_data(
    spec: ModelSpec,
    platform: Platform,
    pipeline: str = "automl_pipeline",
    params: TrainingParams | None = None,
) -> Report:
    """Return every problem of ``spec`` with the data that ``pipeline`` would use.

    Raises:
        TemporarilyUnavailableError: a database does not answer.
    """
    report = Report(problems=list(_contradictions(spec)))
    from_log = pipeline == RETRAINING and spec.retraining.data == "log"
    try:
        names = None if from_log else list(open_source(spec, platform).names)
    except SpecError as error:
        report.problems += [*error.problems, *expectations.problems(spec, None)]
        return report
    report.problems += expectations.problems(spec, names)
    if names is not None:
        report.problems += _missing_columns(spec, names)
    _check_rows(report, spec, platform, pipeline, params or TrainingParams())
    report.problems = list(dict.fromkeys(report.problems))
    return report


def _check_rows(report: Report, spec: ModelSpec, platform: Platform, pipeline: str, params: TrainingParams) -> None:
    """Add what is wrong with the rows; with an unusable time column, what is wrong with the others."""
    try:
        selection = select(spec, platform, pipeline, params)
    except SpecError as error:
        report.problems += error.problems
        if spec.data.time is None or not any("data.time" in problem.where for problem in error.problems):
            return
        timeless = spec.data.model_copy(update={"time": None, "window": None})
        _check_rows(report, spec.model_copy(update={"data": timeless}), platform, pipeline, TrainingParams())
        return
    report.rows, report.columns = len(selection.frame), len(selection.frame.columns)
    if selection.note:
        report.warnings.append(Problem(where(spec, "retraining.window"), selection.note))
    report.problems += [*_row_problems(spec, selection)]
    report.warnings += [*_row_warnings(spec, selection.frame)]


def _contradictions(spec: ModelSpec) -> Iterator[Problem]:
    """Yield roles that exclude each other."""
    target = spec.problem.target
    roles = [("problem.weight", spec.problem.weight)]
    roles += [(f"data.{role}", getattr(spec.data, role)) for role in ("id", "time", "group")]
    for name, column in roles:
        if column == target:
            yield Problem(where(spec, name), f"'{column}' is the target too", "name another column, or none")
    yield from _named_twice(spec)
    source = spec.data.source
    if isinstance(source, SqlSource) and source.query and not source.query.lstrip(" \n(").lower().startswith(_READING):
        yield Problem(where(spec, "data.source.query"), "the query does not read rows", "begin it with SELECT or WITH")


def _named_twice(spec: ModelSpec) -> Iterator[Problem]:
    """Yield features that have another role, are left out, or are listed as two kinds."""
    target = spec.problem.target
    for name in ("include", "numeric", "categorical", "monotone"):
        columns = getattr(spec.features, name)
        for column, role in ((target, "the target"), (spec.problem.weight, "the weight of the rows")):
            if column in columns:
                yield Problem(where(spec, f"features.{name}"), f"'{column}' is {role}", "take it out of the list")
        for column in columns:
            if column in spec.features.exclude:
                message = f"'{column}' is excluded too (features.exclude)"
                yield Problem(where(spec, f"features.{name}"), message, "take it out of one of the lists")
    for name in ("numeric", "monotone"):
        for column in [one for one in getattr(spec.features, name) if one in spec.features.categorical]:
            message = f"'{column}' is listed as categorical too"
            yield Problem(where(spec, f"features.{name}"), message, "take it out of one of the lists")


_READING = ("select", "with", "values", "--", "/*")


def _missing_columns(spec: ModelSpec, names: Sequence[str]) -> Iterator[Problem]:
    wanted = [("problem.target", spec.problem.target), ("problem.weight", spec.problem.weight)]
    wanted += [(f"data.{role}", getattr(spec.data, role)) for role in ("id", "time", "group")]
    wanted += [("search.objectives", column) for column in spec.search.groups]
    lists = ("include", "exclude", "numeric", "categorical", "monotone")
    wanted += [(f"features.{role}", column) for role in lists for column in getattr(spec.features, role)]
    for place, column in wanted:
        if column is not None and column not in names:
            yield missing_column(spec, place, column, names)


def _row_problems(spec: ModelSpec, selection: Selection) -> Iterator[Problem]:
    frame, target = selection.frame, spec.problem.target
    if len(frame) < spec.data.min_rows:
        message = f"{len(frame)} rows, fewer than data.min_rows ({spec.data.min_rows})"
        yield Problem(where(spec, "data"), message, "gather more rows, widen the window, or lower data.min_rows")
    yield from _named_problems(spec, frame)
    if target not in frame:
        return
    yield from _weight_problems(spec, frame)
    known = frame[target].dropna()
    if known.empty:
        yield Problem(where(spec, "problem.target"), f"column '{target}' holds no value at all", "name another column")
    elif known.nunique() == 1:
        kind = "value" if spec.problem.type == "regression" else "class"
        message = f"column '{target}' is constant: its only {kind} is {_shown(known.iloc[0])}"
        yield Problem(where(spec, "problem.target"), message, "there is nothing to learn; check column and window")
    elif 0 < len(known) < spec.data.min_rows <= len(frame):
        message = f"{len(known)} rows have a target, fewer than data.min_rows ({spec.data.min_rows})"
        yield Problem(where(spec, "problem.target"), message, "label more rows, or lower data.min_rows")
    if not known.empty:
        yield from _target_problems(spec, known)


def _named_problems(spec: ModelSpec, frame: pd.DataFrame) -> Iterator[Problem]:
    """Yield what is wrong with columns that the spec names as features."""
    for place, columns in (("features.include", spec.features.include), ("features.numeric", spec.features.numeric)):
        for name in columns:
            if name in frame and frame[name].isna().all():
                yield Problem(where(spec, place), f"column '{name}' holds no value at all", "take it out of the list")
    for name in spec.features.monotone:
        if name in frame and name not in spec.features.numeric and (kind := kind_of(frame[name].dropna())) != "number":
            message = f"column '{name}' is no number ({kind})"
            yield Problem(where(spec, "features.monotone"), message, "add it to features.numeric, or leave it out")


def _weight_problems(spec: ModelSpec, frame: pd.DataFrame) -> Iterator[Problem]:
    """Yield what is wrong with the weights of the rows that have a target."""
    if spec.problem.weight not in frame:
        return
    weights = pd.to_numeric(frame.loc[frame[spec.problem.target].notna(), spec.problem.weight], errors="coerce")
    place, column = where(spec, "problem.weight"), f"column '{spec.problem.weight}'"
    fix = "give every row a weight of 0 or more"
    if missing := int(weights.isna().sum()):
        yield Problem(place, f"{column} is missing or no number in {missing} rows", fix)
    if negative := int((weights < 0).sum()):
        yield Problem(place, f"{column} is negative in {negative} rows", fix)
    if len(weights) and (weights == 0).all():
        yield Problem(place, f"{column} is 0 in every row", "name another column, or none")


def _target_problems(spec: ModelSpec, known: pd.Series) -> Iterator[Problem]:
    place, target = where(spec, "problem.target"), spec.problem.target
    classes = known.value_counts()
    if spec.problem.type == "regression":
        if kind_of(known) != "number":
            seen = ", ".join(_shown(value) for value in classes.index[:3])
            message = f"column '{target}' holds no numbers ({kind_of(known)}: {seen})"
            yield Problem(place, message, "regression needs numbers; use type binary or multiclass, or another column")
        return
    if kind_of(known) == "datetime":
        yield Problem(place, f"column '{target}' holds times", "name a column with classes")
        return
    if spec.problem.type == "binary" and len(classes) > 2:
        seen = ", ".join(_shown(value) for value in classes.index[:5]) + (", …" if len(classes) > 5 else "")
        message = f"column '{target}' has {len(classes)} classes ({seen}); a binary model needs two"
        yield Problem(place, message, "use type multiclass (or regression, where they are amounts)")
    positive = spec.problem.positive
    if spec.problem.type == "binary" and positive is not None and not is_class(positive, classes.index):
        names = [str(value) for value in classes.index]
        close = nearest(str(positive), names)
        fix = f"did you mean {_shown(close)}?" if close else f"use one of: {', '.join(names[:12])}"
        yield Problem(where(spec, "problem.positive"), f"column '{target}' has no value {_shown(positive)}", fix)
    if spec.problem.type == "multiclass" and len(classes) == 2:
        yield Problem(place, f"column '{target}' has two classes", "use type binary")
    if spec.problem.type == "multiclass" and len(classes) > max(_MANY_CLASSES, len(known) / 10):
        message = f"column '{target}' has {len(classes)} classes in {len(known)} rows"
        yield Problem(place, message, "use type regression, or name a column with classes")


def is_class(value: object, classes: Iterable[object]) -> bool:
    """Tell whether ``value``, as a spec writes it, is one of ``classes``, as the data has them.

    1 is 1.0 and '1'; YAML reads a bare Yes as true, so that true is 'Yes' too.
    """
    words = _WORDS[value] if isinstance(value, bool) else (str(value),)
    return any(one == value or str(one) == str(value) or str(one).lower() in words for one in classes)


def _row_warnings(spec: ModelSpec, frame: pd.DataFrame) -> Iterator[Problem]:
    target = spec.problem.target
    for name in frame.columns:
        if name not in (target, *spec.features.exclude, *spec.features.include) and frame[name].isna().all():
            yield Problem(where(spec, "data.source"), f"column '{name}' holds no value at all", "it is not used")
    if target not in frame:
        return
    if missing := int(frame[target].isna().sum()):
        message = f"{missing} of {len(frame)} rows have no target"
        yield Problem(where(spec, "problem.target"), message, "they are set aside")
    known = frame[target].dropna()
    if spec.problem.type != "regression" and known.nunique() > 1:
        counts, folds = known.value_counts(), spec.search.folds or _USUAL_FOLDS
        rare = [value for value, count in counts.items() if count < 2 * folds]
        for value in rare[:5]:
            message = f"class {_shown(value)} has {counts[value]} rows, few for {folds} folds"
            yield Problem(where(spec, "problem.target"), message, "gather more of it, or merge classes")
    if spec.data.id in frame and (twice := int(frame[spec.data.id].duplicated().sum())) and spec.data.group is None:
        message = f"{twice} rows repeat a value of '{spec.data.id}'"
        yield Problem(where(spec, "data.id"), message, f"set data.group to '{spec.data.id}' if an entity has many rows")
    if spec.data.time in frame and (missing := int(frame[spec.data.time].isna().sum())):
        yield Problem(where(spec, "data.time"), f"{missing} rows have no time", "they count as the oldest")


def _shown(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)
