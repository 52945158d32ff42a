"""Names on the cluster: every one a DNS label, short enough for what controllers append to it."""

from __future__ import annotations

import re
from hashlib import sha256

LONGEST = 40
"""Characters of a model's name there; Seldon, KServe and Knative append to it and stop at 63."""
DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")

MODEL, VERSION, MANAGED_BY = "model-factory/model", "model-factory/version", "app.kubernetes.io/managed-by"
"""Labels of what a release starts."""
MANAGER = "model-factory"


def object_name(model: str) -> str:
    """Return the name of the model's object; one that had to be changed ends with a digest, so that no two meet."""
    name = model.replace("_", "-")
    if len(name) <= LONGEST and not name.endswith("-"):
        return name
    digest = sha256(model.encode()).hexdigest()[:8]
    return f"{name[: LONGEST - 9].rstrip('-')}-{digest}"


def version_name(version: str) -> str:
    """Return what a version is called among those of its model."""
    return f"v{version}"
