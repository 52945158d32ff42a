"""What a run must know of the champion: the rows that it was trained on, and those that it was judged by."""

from __future__ import annotations

import logging
from pathlib import Path

from include.features.prepared import Prepared, PreparedError
from include.registry.models import Registry
from include.registry.versions import Version
from include.steps.context import StepContext
from include.store.artifacts import ArtifactError
from include.store.runs import RunFolder

log = logging.getLogger(__name__)


def champions_rows(context: StepContext, champion: Version | None = None) -> Prepared | None:
    """Return the rows of the champion's training run; None where there is none, or its run folder is gone.

    Of a model that was trained elsewhere nobody knows the training rows: None too.

    Args:
        context: of the step that asks.
        champion: the version, where it is known already.
    """
    version = champion or Registry(context.platform).get(context.spec.name, "champion")
    if version is None:
        return None
    folder = RunFolder(context.store, context.spec.name, version.run)
    prepared = folder.find("prepare")
    if prepared is None or not prepared.values.get("train_rows"):
        return None
    try:
        with context.store.local(folder.path("prepare", "prepared")) as path:
            return Prepared.load(Path(path))
    except (ArtifactError, PreparedError) as error:
        log.warning("the rows of %s cannot be read, so none keeps its side: %s", version, error)
        return None
