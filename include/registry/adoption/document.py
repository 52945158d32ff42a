"""What an operator says of a model that was trained elsewhere: the factory cannot know it from the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError, field_validator, model_validator

from include.inference.links import Link
from include.specs import Problem, SpecError
from include.specs.base import Spec
from include.specs.training import Task
from include.store.packages import Field


class Feature(Spec):
    """One input column of the model."""

    name: str
    type: Literal["number", "boolean", "string", "datetime"] = "number"
    example: Any = None
    """A plausible value; the documentation and the warm-up of the server use it."""


class Adoption(Spec):
    """The document that ``--manifest`` names."""

    task: Task
    target: str
    """What is predicted."""
    features: tuple[Feature, ...]
    """In the order of the model's columns: a list, or a mapping from name to type."""
    classes: tuple[str | int | bool, ...] | None = None
    """Classifiers: the labels in the order of the model's probabilities; binary: the positive one is the second."""
    threshold: float = 0.5
    """Binary: probability from which the positive class is answered."""
    link: Link = "none"
    """What a network puts out: ``none`` for probabilities and values, ``logit`` for what comes before the sigmoid or
    the softmax."""
    output: str = ""
    """Name of the output that holds the scores, where there are several."""
    ignored: tuple[str, ...] = ()
    """Columns that callers may send although the model does not use them."""
    description: str = ""
    owner: str = ""
    """Who answers for the model; the spec's owner when there is one."""

    @field_validator("features", mode="before")
    @classmethod
    def _from_mapping(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return [{"name": name, **(kind if isinstance(kind, dict) else {"type": kind})} for name, kind in value.items()]

    @model_validator(mode="after")
    def _fits(self) -> Adoption:
        names = [feature.name for feature in self.features]
        if not names or len(set(names)) < len(names):
            raise ValueError("features: name each column once, and at least one")
        if self.task == "regression" and self.classes is not None:
            raise ValueError("classes: a regression has none; leave them out")
        count = len(set(map(str, self.classes or ())))
        if self.task == "binary" and count != 2:
            raise ValueError("classes: a binary model has two; the second is the positive one")
        if self.task == "multiclass" and count < 3:
            raise ValueError("classes: name at least three, in the order of the model's probabilities")
        return self

    def fields(self) -> tuple[Field, ...]:
        """Return the columns as a manifest names them, each with an example."""
        usual = {"number": 0.0, "boolean": False, "string": "", "datetime": "2026-01-01T00:00:00+00:00"}
        return tuple(
            Field(
                name=one.name,
                type=one.type,
                example=usual[one.type] if one.example is None else one.example,
            )
            for one in self.features
        )


def read_document(file: Path) -> Adoption:
    """Return the document in ``file``, YAML or JSON.

    Raises:
        SpecError: it cannot be read, or says what cannot be; every problem is listed.
    """
    try:
        return Adoption.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        problems = [
            Problem(
                ".".join([str(file), *map(str, item["loc"])]),
                item["msg"].removeprefix("Value error, "),
                "see docs/runtimes.md",
            )
            for item in error.errors()
        ]
        raise SpecError(problems) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(
            [Problem(str(file), f"cannot be read: {error}", "write it as docs/runtimes.md shows")]
        ) from error
