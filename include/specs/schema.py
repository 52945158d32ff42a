"""Export the JSON schema of the model spec, so that an editor completes and checks it: ``make schema``."""

from __future__ import annotations

import json

from include.specs.loader import ROOT
from include.specs.model import ModelSpec

SCHEMA_FILE = ROOT / "config" / "model.schema.json"


def schema_text() -> str:
    """Return the JSON schema as the text that is kept in ``config/model.schema.json``."""
    schema = ModelSpec.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    from include.specs.reference import REFERENCE_FILE, reference_text

    REFERENCE_FILE.write_text(reference_text(), encoding="utf-8")
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
