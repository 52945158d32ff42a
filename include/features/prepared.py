"""What `prepare` hands to the search: typed rows, encoded targets, and the split, kept as parquet and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.specs.errors import FactoryError
from include.specs.training import Task
from include.store.packages import Field, typed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

META = "prepared.json"
TRAIN, TEST = "train.parquet", "test.parquet"


class PreparedError(FactoryError):
    """A folder of prepared data is incomplete or damaged."""


@dataclass(frozen=True)
class Prepared:
    """Training and held-out rows, ready for an estimator.

    Attributes:
        task: binary, multiclass or regression.
        fields: the feature columns, in the order of the frames.
        classes: the labels behind the codes of a classifier's target, JSON-ready; binary: the positive class is the
            second. None for regression.
        train: feature columns, shape (rows, fields), with the dtypes of `include.store.packages.typed`.
        train_target: codes 0 … n-1 into ``classes`` (int64), or the value itself (float64); shape (rows,).
        test: held-out rows, as ``train``.
        test_target: as ``train_target``.
        train_groups: code of each training row's group, shape (rows,), when rows of a group must stay together.
        ordered: training rows lie oldest first, so that folds must respect time.
        train_weights: how much each training row counts, all above 0, shape (rows,); None where all count the same.
        test_weights: likewise of the held-out rows.
        train_audit: column → group of each training row, as text, shape (rows,): what the spec wants no differences
            between. A column may be a feature besides.
        test_audit: likewise of the held-out rows.
    """

    task: Task
    fields: tuple[Field, ...]
    classes: tuple[Any, ...] | None
    train: pd.DataFrame
    train_target: np.ndarray[Any, Any]
    test: pd.DataFrame
    test_target: np.ndarray[Any, Any]
    train_groups: np.ndarray[Any, Any] | None = None
    ordered: bool = False
    train_weights: np.ndarray[Any, Any] | None = None
    test_weights: np.ndarray[Any, Any] | None = None
    train_audit: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    test_audit: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write everything into ``folder``: two parquet files and ``prepared.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        target, group, weight = _own_names(self.fields)
        train = {target: self.train_target, group: self.train_groups, weight: self.train_weights}
        test = {target: self.test_target, weight: self.test_weights}
        for file, frame, columns, audit in (
            (TRAIN, self.train, train, self.train_audit),
            (TEST, self.test, test, self.test_audit),
        ):
            known = {name: values for name, values in columns.items() if values is not None}
            known |= {f"{group}.{place}": audit[name] for place, name in enumerate(audit)}
            frame.assign(**known).to_parquet(folder / file, index=False)
        meta = {
            "task": self.task,
            "fields": [one.model_dump(mode="json") for one in self.fields],
            "classes": list(self.classes) if self.classes is not None else None,
            "ordered": self.ordered,
            "audit": list(self.train_audit),
        }
        (folder / META).write_text(json.dumps(meta, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Prepared:
        """Read what `save` wrote.

        Raises:
            PreparedError: a file is missing or cannot be read.
        """
        import pandas as pd

        try:
            meta = json.loads((folder / META).read_text(encoding="utf-8"))
            train, test = pd.read_parquet(folder / TRAIN), pd.read_parquet(folder / TEST)
            fields = tuple(Field.model_validate(one) for one in meta["fields"])
            target, group, weight = _own_names(fields)
            audit = {name: f"{group}.{place}" for place, name in enumerate(meta.get("audit", ()))}
            return cls(
                task=meta["task"],
                fields=fields,
                classes=tuple(meta["classes"]) if meta["classes"] is not None else None,
                train=typed(train, fields),
                train_target=train[target].to_numpy(),
                test=typed(test, fields),
                test_target=test[target].to_numpy(),
                train_groups=train[group].to_numpy() if group in train.columns else None,
                ordered=meta["ordered"],
                train_weights=train[weight].to_numpy() if weight in train.columns else None,
                test_weights=test[weight].to_numpy() if weight in test.columns else None,
                train_audit={name: train[kept].to_numpy() for name, kept in audit.items()},
                test_audit={name: test[kept].to_numpy() for name, kept in audit.items()},
            )
        except (OSError, KeyError, ValueError) as error:
            raise PreparedError(f"{folder}: no valid prepared data ({error}); run the step 'prepare' again") from error


def _own_names(fields: tuple[Field, ...]) -> tuple[str, str, str]:
    """Return what target, group and weight are called in the files: names that no feature has."""
    target, group, weight = "__target__", "__group__", "__weight__"
    taken = {one.name for one in fields}
    while any(name.startswith((target, group, weight)) for name in taken):
        target, group, weight = f"_{target}", f"_{group}", f"_{weight}"
    return target, group, weight
