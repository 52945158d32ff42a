"""Read specs from ``config/models``: one file, one model; a broken file breaks that model alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from include.specs.errors import Problem, SpecError, did_you_mean
from include.specs.model import ModelSpec

ROOT = Path(os.environ.get("FACTORY_ROOT", Path(__file__).resolve().parents[2]))
"""The project's folder; relative paths in specs and settings start here."""


def models_dir() -> Path:
    """Return the folder of model specs: ``FACTORY_MODELS_DIR``, or ``config/models`` of the project."""
    return Path(os.environ.get("FACTORY_MODELS_DIR", ROOT / "config" / "models"))


@dataclass
class Catalogue:
    """Every spec that could be read, and the problems of those that could not."""

    specs: dict[str, ModelSpec] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def shown(path: Path) -> str:
    """Return ``path`` relative to the project where it lies inside, for messages."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def parse_spec(text: str, where: str) -> ModelSpec:
    """Parse the YAML ``text`` of one spec.

    Args:
        text: the YAML document.
        where: the file's name, for messages.

    Raises:
        SpecError: with every problem of the document.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "unreadable"
        raise SpecError([Problem(f"{where}{line}", f"not valid YAML: {reason}", "correct that line")]) from error
    if not isinstance(document, dict):
        raise SpecError([Problem(where, "the file holds no mapping", "start with 'name: …'; see docs/specs.md")])
    try:
        return ModelSpec.model_validate(document)
    except ValidationError as error:
        raise SpecError(list(_problems(error, where))) from error


def load_spec(name: str) -> ModelSpec:
    """Return the spec of model ``name``.

    A name that a second file claims too is refused, as is a file whose name and model differ.

    Raises:
        SpecError: the file is missing or broken; every problem is listed.
    """
    path = models_dir() / f"{name}.yaml"
    if not path.is_file():
        known = [file.stem for file in spec_files()]
        fix = did_you_mean(name, known) or "write that file"
        raise SpecError([Problem(shown(path), f"there is no model '{name}'", fix)])
    spec = parse_spec(path.read_text(encoding="utf-8"), shown(path))
    if misnamed := _misnamed(spec, path):
        raise SpecError([misnamed])
    return spec


def spec_files() -> list[Path]:
    """Return the files of ``config/models``, sorted."""
    return sorted([*models_dir().glob("*.yaml"), *models_dir().glob("*.yml")])


def load_all() -> Catalogue:
    """Read every spec; a broken one adds to ``problems`` and leaves the others alone."""
    catalogue = Catalogue()
    for path in spec_files():
        try:
            spec = parse_spec(path.read_text(encoding="utf-8"), shown(path))
        except SpecError as error:
            catalogue.problems += error.problems
            continue
        except (OSError, UnicodeDecodeError) as error:
            catalogue.problems.append(Problem(shown(path), f"cannot be read: {error}", "check the file"))
            continue
        if misnamed := _misnamed(spec, path):
            catalogue.problems.append(misnamed)
            continue
        catalogue.specs[spec.name] = spec
        catalogue.files[spec.name] = path
    return catalogue


def _misnamed(spec: ModelSpec, path: Path) -> Problem | None:
    """Return a problem unless the file is ``<name>.yaml``: this is what makes names unique."""
    if path.name == f"{spec.name}.yaml":
        return None
    other = models_dir() / f"{spec.name}.yaml"
    if other.is_file():
        return Problem(
            f"{shown(path)}: name", f"duplicate model name '{spec.name}': {shown(other)} has it too", "rename one"
        )
    return Problem(f"{shown(path)}: name", f"the model is called '{spec.name}'", f"call the file {spec.name}.yaml")


def _problems(error: ValidationError, where: str) -> Iterator[Problem]:
    """Translate Pydantic's errors into problems with the field's path and a fix."""
    for item in error.errors():
        path = [part for part in item["loc"] if not _is_discriminator(part, item)]
        field_name = ".".join(str(part) for part in path)
        message, fix = item["msg"].removeprefix("Value error, "), "see docs/specs.md"
        if item["type"] == "extra_forbidden":
            message = f"unknown field '{path[-1]}'"
            fix = did_you_mean(str(path[-1]), _fields_at(path[:-1], item["loc"]))
        elif item["type"] == "missing":
            message, fix = "required field is missing", f"add '{path[-1]}'"
        elif item["type"] == "literal_error":
            expected = str(item.get("ctx", {}).get("expected", ""))
            options = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
            message, fix = f"'{item['input']}' is not allowed", did_you_mean(str(item["input"]), options)
        elif item["type"] == "string_pattern_mismatch":
            message = f"'{item['input']}' is not allowed"
            fix = "use lower-case letters, digits and underscores, beginning with a letter, 63 at most"
        elif item["type"].startswith("union_tag"):
            message = "the source's type is missing or unknown"
            fix = "set 'type' to csv, parquet, sql, feast or dataset"
        elif ": " in message and message.split(": ")[0].replace(".", "").replace("_", "").isalnum() and not field_name:
            field_name, message = message.split(": ", 1)
        yield Problem(f"{where}: {field_name}" if field_name else where, message, fix)


def _is_discriminator(part: Any, item: Any) -> bool:
    """Tell whether ``part`` is the tag that Pydantic adds to the path of a discriminated union."""
    return part in {"csv", "parquet", "sql", "feast", "spark", "dataset"} and item["loc"][:2] == ("data", "source")


def _fields_at(path: list[Any], raw: tuple[Any, ...]) -> list[str]:
    """Return the field names that the spec knows at ``path``."""
    from include.specs import data as data_specs

    if tuple(path) == ("data", "source"):
        tag = next((part for part in raw[2:] if isinstance(part, str)), "csv")
        sources: dict[str, type[BaseModel]] = {
            "csv": data_specs.FileSource,
            "parquet": data_specs.FileSource,
            "sql": data_specs.SqlSource,
            "feast": data_specs.FeastSource,
            "spark": data_specs.SparkSource,
            "dataset": data_specs.DatasetSource,
        }
        return list(sources[tag].model_fields)
    model: type[BaseModel] = ModelSpec
    for part in path:
        info = model.model_fields.get(str(part))
        found = _model_in(info.annotation) if info else None
        if found is None:
            continue
        model = found
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the first spec class inside a type such as ``tuple[Threshold, ...]`` or ``Experiment | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _model_in(argument)) is not None:
            return found
    return None
