"""A package of a model from elsewhere: its files, its manifest, and the proof that it answers."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.inference.choice import Candidate, Choice
from include.inference.frames import rows_of as typed_rows
from include.inference.load import load_scorer
from include.inference.scorer import Row, Scorer
from include.registry.adoption.document import Adoption
from include.registry.adoption.formats import take
from include.specs.errors import FactoryError
from include.store.packages import Field, Manifest, save_manifest, typed

if TYPE_CHECKING:
    import pandas as pd

    from include.inference.scorer import Array

EXPECTED = "expected"
SUM_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Adopted:
    """A package, and what was seen when it was tried.

    Attributes:
        form: what the model came as.
        rows: rows that it answered.
        compared: rows with an expected answer.
        largest_difference: from an expected answer; None when none was given.
    """

    manifest: Manifest
    form: str
    rows: int
    compared: int = 0
    largest_difference: float | None = None


def adopt_package(
    source: Path,
    wanted: Adoption,
    folder: Path,
    model: str,
    run: str,
    rows: pd.DataFrame | None = None,
    tolerance: float = 1e-4,
) -> Adopted:
    """Make a package of the model in ``source`` in the new folder ``folder``, and try it.

    Args:
        source: file or folder.
        wanted: what the operator says of it.
        folder: folder to make.
        model: name of the model.
        run: name of the run folder that will hold the package.
        rows: real rows; with columns ``expected`` or ``expected_<class>`` its answers are held against those.
        tolerance: largest difference from an expected answer.

    Raises:
        FactoryError: it cannot be taken, does not answer as its manifest says, or differs from what is expected.
    """
    folder.mkdir(parents=True)
    taken = take(source, folder, wanted)
    fields = _with_examples(taken.fields, rows)
    manifest = Manifest(
        model=model,
        task=wanted.task,
        target=wanted.target,
        features=fields,
        classes=wanted.classes,
        threshold=wanted.threshold,
        algorithm=taken.runtime,
        run=run,
        trained_at=datetime.now(UTC),
        ignored=wanted.ignored,
    )
    Choice(
        runtime=taken.runtime,
        candidates=(Candidate(runtime=taken.runtime, faithful=True, reason=f"adopted from {taken.form}"),),
    ).save(folder)
    save_manifest(folder, manifest)
    scorer = load_scorer(folder, manifest)
    example = rows_of(typed_table([{field.name: field.example for field in fields}], fields), fields)[0]
    real = rows_of(rows, fields) if rows is not None else [example]
    manifest = manifest.model_copy(update={"features": _required(scorer, manifest, real[0])})
    _try(scorer, manifest, [row for row in real if _readable(row, manifest)] or [example])
    save_manifest(folder, manifest)
    if rows is None:
        return Adopted(manifest, taken.form, 1)
    return Adopted(manifest, taken.form, len(real), *_compare(scorer.score(real), rows, manifest, tolerance))


def read_rows(file: Path) -> pd.DataFrame:
    """Return the rows of a CSV file, each value as text; empty ones are missing.

    Raises:
        FactoryError: it cannot be read, or holds no row.
    """
    import pandas as pd

    try:
        with file.open(newline="", encoding="utf-8") as opened:
            records = list(csv.DictReader(opened))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FactoryError(f"{file}: cannot be read ({error})") from error
    if not records:
        raise FactoryError(f"{file}: holds no row; write a header and at least one")
    return pd.DataFrame(records).replace("", None)


def rows_of(data: pd.DataFrame, fields: Sequence[Field]) -> list[Row]:
    """Return the columns of ``fields`` as rows that a scorer takes.

    Raises:
        FactoryError: a column is missing, or holds a value of another type.
    """
    if missing := [field.name for field in fields if field.name not in data.columns]:
        raise FactoryError(f"the rows lack the columns {', '.join(missing)}")
    return typed_rows(typed_table(data, fields), fields)


def typed_table(data: Any, fields: Sequence[Field]) -> pd.DataFrame:
    """Return the columns of ``fields`` with their types; text such as ``true`` is a truth value."""
    import pandas as pd

    table = pd.DataFrame(data)
    words = {"true": 1, "false": 0, "True": 1, "False": 0}
    for field in fields:
        if field.type == "boolean":
            table[field.name] = table[field.name].map(lambda value: words.get(value, value))
    return typed(table, fields)


def _with_examples(fields: Sequence[Field], rows: pd.DataFrame | None) -> tuple[Field, ...]:
    """Return ``fields`` with the values of the first row as examples."""
    if rows is None:
        return tuple(fields)
    first = rows_of(rows.head(1), fields)[0]
    return tuple(
        field if value is None or value != value else field.model_copy(update={"example": _plain(field, value)})
        for field, value in zip(fields, first, strict=True)
    )


def _plain(field: Field, value: Any) -> Any:
    if field.type == "boolean":
        return bool(value)
    return value.isoformat() if field.type == "datetime" else value


def _required(scorer: Scorer, manifest: Manifest, row: Row) -> tuple[Field, ...]:
    """Return the columns, those marked to which a missing value leaves the model without an answer."""
    found = []
    for index, field in enumerate(manifest.features):
        gap = math.nan if field.type in ("number", "boolean") else None
        try:
            scores = scorer.score_one((*row[:index], gap, *row[index + 1 :]))
            answers = all(map(math.isfinite, scores))
        except Exception:  # any failure of a foreign model means the same
            answers = False
        found.append(field.model_copy(update={"required": not answers}))
    return tuple(found)


def _readable(row: Row, manifest: Manifest) -> bool:
    return not any(
        field.required and (value is None or value != value)
        for field, value in zip(manifest.features, row, strict=True)
    )


def _try(scorer: Scorer, manifest: Manifest, rows: Sequence[Row]) -> Array:
    """Return the scores of ``rows``, which must be what the manifest says.

    Raises:
        FactoryError: shape or values are others.
    """
    import numpy as np

    try:
        scores = scorer.score(rows)
        one = scorer.score_one(rows[0])
    except FactoryError:
        raise
    except Exception as error:
        raise FactoryError(
            f"the model fails on its own examples ({type(error).__name__}: {' '.join(str(error).split())[:300]}); give "
            "plausible examples in the manifest, or real rows by --rows"
        ) from error
    classes = manifest.classes
    shape = (len(rows),) if classes is None else (len(rows), len(classes))
    if scores.shape != shape:
        raise FactoryError(f"the model answers {scores.shape}, the manifest asks for {shape}; correct task or classes")
    if not np.isfinite(scores).all():
        raise FactoryError(
            "the model answers values that are not finite; give plausible examples, or real rows by --rows"
        )
    if classes is not None and (
        scores.min() < -SUM_TOLERANCE
        or scores.max() > 1 + SUM_TOLERANCE
        or np.abs(scores.sum(axis=1) - 1).max() > SUM_TOLERANCE
    ):
        raise FactoryError(
            f"the model answers {np.round(scores[0], 4).tolist()}, which are no probabilities that add up to 1; set "
            "link: logit where they are logits, or name the output that holds probabilities"
        )
    if not np.allclose(one, scores[0], rtol=1e-4, atol=1e-5):
        raise FactoryError("the model answers a row otherwise than it answers it among others; it cannot be served")
    return scores


def _compare(scores: Array, rows: pd.DataFrame, manifest: Manifest, tolerance: float) -> tuple[int, float | None]:
    """Return how many rows had an expected answer, and the largest difference from it.

    Raises:
        FactoryError: it is larger than the tolerance.
    """
    import numpy as np
    import pandas as pd

    each = [f"{EXPECTED}_{label}" for label in manifest.classes or ()]
    if EXPECTED in rows.columns:
        wanted = pd.to_numeric(rows[EXPECTED]).to_numpy(dtype=float)
        answered = scores if manifest.classes is None else scores[:, -1]
    elif each and set(each) <= set(rows.columns):
        wanted = rows[each].apply(pd.to_numeric).to_numpy(dtype=float)
        answered = scores
    else:
        return 0, None
    largest = float(np.abs(answered - wanted).max())
    if not largest <= tolerance:
        raise FactoryError(
            f"the model's answers differ by up to {largest:.3g} from those expected, more than the tolerance of "
            f"{tolerance:g}; check the order of the features, the link and the version of its library"
        )
    return len(rows), largest
