"""Which pods there were: a watcher that misses none, however short its life."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

LABEL = "model-factory/"


class PodLog:
    """Keeps the labels of every pod of a namespace that was ever there, until it is stopped."""

    def __init__(self, api: Any, namespace: str) -> None:
        self._api, self._namespace = api, namespace
        self._labels: dict[str, dict[str, str]] = {}
        self._failed: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        from kubernetes import watch

        while not self._stopped.is_set():
            try:
                for event in watch.Watch().stream(
                    self._api.list_namespaced_pod, self._namespace, timeout_seconds=5, _request_timeout=10
                ):
                    pod = event["object"]
                    self._labels[pod.metadata.name] = dict(pod.metadata.labels or {})
                    if pod.status.phase == "Failed":
                        self._failed.add(pod.metadata.name)
            except Exception:
                self._stopped.wait(0.5)  # the API server may be away; what is there is listed again

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(15)

    def pods(self, **wanted: str) -> dict[str, dict[str, str]]:
        """Return the labels by pod, of the pods with these labels of ours."""
        return {
            name: labels
            for name, labels in list(self._labels.items())
            if all(labels.get(LABEL + key) == value for key, value in wanted.items())
        }

    @property
    def failed(self) -> set[str]:
        """Return the names of the pods that ended ill."""
        return set(self._failed)

    def tries(self, **wanted: str) -> Counter[tuple[str, str, str]]:
        """Return how many pods each (model, run, step) had."""
        return Counter(
            (labels[f"{LABEL}model"], labels[f"{LABEL}run"], labels[f"{LABEL}step"])
            for labels in self.pods(**wanted).values()
            if f"{LABEL}step" in labels
        )
