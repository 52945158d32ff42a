"""Hold a spec against the platform: what a laptop allows and a cluster does not."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from include.data.problems import where
from include.specs import ROOT, ModelSpec, Platform, Problem, did_you_mean
from include.specs import data as specs

_QUANTITY = re.compile(r"^\d+(\.\d+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$")
_RESOURCES = ("cpu", "memory", "ephemeral-storage")


def platform_problems(platform: Platform) -> list[Problem]:
    """Return settings under which steps cannot run in pods; none when they run in processes."""
    if platform.runtime != "kubernetes":
        return []
    found = []
    if urlsplit(platform.artifacts_uri).scheme in ("", "file"):
        message = "a pod does not see the artifacts of this machine"
        found.append(
            _setting("artifacts_uri", message, "give a URI that every pod reaches, such as s3://bucket/factory")
        )
    if platform.database_uri.get_secret_value().startswith("sqlite"):
        found.append(_setting("database_uri", "a pod does not see the SQLite file of this machine", "give PostgreSQL"))
    for name in ("mlflow_uri", "serving_url"):
        if _is_loopback(host := urlsplit(getattr(platform, name)).hostname or ""):
            message = f"'{host}' is the pod itself when a step runs in a pod"
            found.append(_setting(name, message, "give the address of the service in the cluster"))
    if platform.kubernetes.config_file is not None and not (ROOT / platform.kubernetes.config_file).is_file():
        message = f"there is no file {platform.kubernetes.config_file}"
        found.append(_setting("kubernetes.config_file", message, "correct the path, or set in_cluster"))
    return found


def resource_problems(spec: ModelSpec, platform: Platform, steps: Collection[str]) -> list[Problem]:
    """Return what is wrong with the pod resources of ``spec``; ``steps`` are the names of all steps."""
    return [*_resource_problems(spec, steps), *_local_files(spec, platform), *_shared_study(spec, platform)]


def _resource_problems(spec: ModelSpec, steps: Collection[str]) -> Iterator[Problem]:
    for step, wanted in spec.resources.items():
        place = where(spec, f"resources.{step}")
        if step not in (*steps, "default"):
            yield Problem(place, f"there is no step '{step}'", did_you_mean(step, [*steps, "default"]))
        for part in ("requests", "limits"):
            for name, quantity in getattr(wanted, part).items():
                if name not in _RESOURCES and "/" not in name:
                    hint = did_you_mean(name, _RESOURCES)
                    yield Problem(f"{place}.{part}", f"'{name}' is no Kubernetes resource", hint)
                if not _QUANTITY.match(quantity):
                    message = f"'{quantity}' is no Kubernetes quantity"
                    yield Problem(f"{place}.{part}.{name}", message, "write one such as 500m, 2 or 4Gi")


def _local_files(spec: ModelSpec, platform: Platform) -> Iterator[Problem]:
    source = spec.data.source
    if platform.runtime != "kubernetes":
        return
    if isinstance(source, specs.FileSource) and "://" not in source.path:
        path = (ROOT / source.path).resolve()
        if not path.is_relative_to(ROOT):  # the project's own files are in the image
            message = f"a pod does not see {source.path} of this machine"
            yield Problem(where(spec, "data.source.path"), message, "give a URI, such as s3://bucket/key.parquet")
    if isinstance(source, specs.SqlSource) and (source.uri or "").startswith("sqlite"):
        message = "a pod does not see a SQLite file of this machine"
        yield Problem(where(spec, "data.source.uri"), message, "give PostgreSQL by uri_env")


def _shared_study(spec: ModelSpec, platform: Platform) -> Iterator[Problem]:
    """Yield what is wrong with where the workers of a search meet."""
    uri = platform.optuna_uri.get_secret_value()
    if spec.search.workers is None or uri.startswith("postgresql"):
        return
    if uri or platform.runtime == "kubernetes":
        message = "a journal file of one pod is not seen by the others" if not uri else "only PostgreSQL can be shared"
        yield Problem(where(spec, "search.workers"), message, "give PostgreSQL by FACTORY_OPTUNA_URI")


def _setting(name: str, message: str, fix: str) -> Problem:
    variable = f"FACTORY_{name.replace('.', '__').upper()}"
    return Problem(f"platform.yaml: {name}", f"{message} (runtime: kubernetes)", f"{fix} ({variable})")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
