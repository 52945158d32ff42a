"""A Kubernetes API server on loopback: custom objects, the controllers of tests/cluster, and pods that answer."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from tests.cluster.controllers import KServeController, SeldonController, Workload

Document = dict[str, Any]
OBJECT = re.compile(r"/apis/(?P<group>[^/]+)/[^/]+/namespaces/(?P<namespace>[^/]+)/(?P<plural>[^/]+)/(?P<name>[^/]+)")
PROXY = re.compile(r"/api/v1/namespaces/[^/]+/pods/(?P<pod>[^/:]+):8500/proxy(?P<path>/.*)")
LOG = re.compile(r"/api/v1/namespaces/[^/]+/pods/(?P<pod>[^/]+)/log")


@dataclass
class Version:
    """How the pods of a version do.

    Attributes:
        waiting: reason and message of a container that never starts.
        exit_code: of a server that ends as soon as it starts; ``log`` are its last lines.
        failure: what a server that runs says it cannot load.
        refused: why the cluster does not even make its pods.
        unscheduled: why no node takes them.
    """

    waiting: tuple[str, str] | None = None
    exit_code: int | None = None
    log: str = ""
    failure: str = ""
    refused: str = ""
    unscheduled: str = ""
    fails_every: int | None = None

    @property
    def ready(self) -> bool:
        return not (self.waiting or self.exit_code or self.failure or self.refused or self.unscheduled)


class Pod:
    """A pod that counts and answers like the model server."""

    def __init__(self, number: int, workload: Workload, version: Version) -> None:
        (container,) = workload.template["spec"]["containers"]
        self.model, self.version = container["env"][0]["value"].split("/")
        self.template, self.container, self.behaves = workload.template, container, version
        self.name, self.workload, self.uid = f"{workload.name}-{number}", workload.name, f"uid-{number}"
        self.asked = 0
        registry, names = CollectorRegistry(), ("model", "version", "variant")
        self.registry, labels = registry, (self.model, self.version, f"v{self.version}")
        predictions = Counter("factory_predictions", "x", (*names, "outcome"), registry=registry)
        self.answered, self.failed = predictions.labels(*labels, "answered"), predictions.labels(*labels, "failed")
        self.positives = Counter("factory_positive_predictions", "x", names, registry=registry).labels(*labels)
        self.seconds = Histogram("factory_prediction_seconds", "x", names, registry=registry).labels(*labels)

    @property
    def ready(self) -> bool:
        return self.behaves.ready

    @property
    def log(self) -> str:
        return self.behaves.log

    def stop(self) -> None:
        """Nothing runs."""

    def document(self) -> Document:
        status: Document = {"phase": "Running", "conditions": [{"type": "PodScheduled", "status": "True"}]}
        container: Document = {"name": self.container["name"], "image": self.container["image"], "restartCount": 0}
        behaves = self.behaves
        if behaves.unscheduled:
            scheduled = {"type": "PodScheduled", "status": "False", "message": behaves.unscheduled}
            return self._with({"phase": "Pending", "conditions": [scheduled]})
        if behaves.waiting:
            reason, message = behaves.waiting
            status["phase"], container["state"] = "Pending", {"waiting": {"reason": reason, "message": message}}
        elif behaves.exit_code is not None:
            container["restartCount"] = 2
            container["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
            container["lastState"] = {"terminated": {"exitCode": behaves.exit_code, "reason": "Error"}}
        ready = {"type": "Ready", "status": "True" if behaves.ready else "False"}
        return self._with({**status, "conditions": [*status["conditions"], ready], "containerStatuses": [container]})

    def _with(self, status: Document) -> Document:
        labels = self.template["metadata"]["labels"]
        return {"metadata": {"name": self.name, "uid": self.uid, "labels": labels}, "status": status}

    def answer(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        if path == "/metrics":
            return 200, generate_latest(self.registry)
        if path == "/health":
            return 200, {"failures": {self.model: self.behaves.failure} if self.behaves.failure else {}}
        assert path == f"/v1/models/{self.model}/predict"
        assert "authorization" not in headers, "the API server keeps it"
        if headers.get("x-factory-probe") and headers.get("x-api-key") != "the key":
            return 403, {"error": {"message": "forbidden"}}
        self.asked += 1
        every = self.behaves.fails_every
        if not body["features"] or (every and self.asked % every == 0):
            self.failed.inc()
            return 422, {"error": {"message": "age: is missing"}}
        self.answered.inc()
        self.positives.inc(body["features"]["age"] % 2)
        self.seconds.observe(0.004)
        return 200, {"version": self.version, "variant": f"v{self.version}"}


@dataclass
class FakeCluster:
    """The state of the server; ``versions`` says how pods of a version do, and one that is not named ends at once."""

    versions: dict[str, Version]
    make_pod: Callable[[int, Workload, Version], Any] = Pod
    installed: bool = True
    controller_runs: bool = True
    refuse: Callable[[Document], str | None] = lambda _: None
    interfere: list[Callable[[], None]] = field(default_factory=list)
    lose_answers: int = 0
    failing: list[int] = field(default_factory=list)
    objects: dict[tuple[str, str], Document] = field(default_factory=dict)
    pods: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)
    applied: list[Document] = field(default_factory=list)
    clock: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.controllers = {one.plural: one for one in (SeldonController(), KServeController())}

    def handle(self, method: str, target: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        url = urlsplit(target)
        path, query = url.path, {key: values[0] for key, values in parse_qs(url.query).items()}
        with self.lock:
            if self.failing:
                return self.failing.pop(), {"kind": "Status", "message": "the server is overloaded"}
            if found := PROXY.fullmatch(path):
                pod = self.pods.get(unquote(found["pod"]))
                return pod.answer(method, found["path"], body, headers) if pod else _status(404, "pods not found")
            if found := LOG.fullmatch(path):
                return 200, self.pods[found["pod"]].log.encode()
            if found := OBJECT.fullmatch(path):
                return self._object(method, found["plural"], found["name"], body)
            if path.endswith("/pods"):
                wanted = dict(pair.split("=") for pair in query["labelSelector"].split(","))
                pods = [
                    pod for pod in self.pods.values() if wanted.items() <= pod.template["metadata"]["labels"].items()
                ]
                return 200, {"items": [pod.document() for pod in pods if not pod.behaves.refused]}
            if path.endswith("/events"):
                refused = [pod for pod in self.pods.values() if pod.behaves.refused]
                return 200, {"items": [{"involvedObject": {"name": pod.workload}, "message": pod.behaves.refused}
                                       for pod in refused]}  # fmt: skip
        raise AssertionError(f"nobody asks {method} {path}")

    def _object(self, method: str, plural: str, name: str, body: Any) -> tuple[int, Any]:
        if not self.installed:
            return 404, b"404 page not found"
        key, former = (plural, name), self.objects.get((plural, name))
        if method == "GET" and former is not None and self.controller_runs:
            self._control(key)
        if method == "GET" or (former is None and method == "DELETE"):
            return (200, former) if former else _status(404, f'{plural} "{name}" not found')
        if method == "DELETE":
            del self.objects[key]
            self._keep_pods(())
            self.weights = {}
            return 200, {"kind": "Status", "status": "Success"}
        if self.interfere:
            self.interfere.pop()()
            former = self.objects.get(key)
        if message := self.refuse(body):
            return _status(403, message)
        version = body["metadata"].pop("resourceVersion", None)
        if former is not None and version is not None and version != former["metadata"]["resourceVersion"]:
            return _status(409, "the object has been modified; please apply your changes to the latest version")
        self.applied.append(json.loads(json.dumps(body)))
        self._keep(key, body, former)
        if self.lose_answers:
            self.lose_answers -= 1
            return _status(503, "the server went away")
        return 200, self.objects[key]

    def _keep(self, key: tuple[str, str], body: Document, former: Document | None) -> None:
        self.clock += 1
        before = former["metadata"] if former else {"generation": 0, "uid": f"object-{self.clock}"}
        same = former is not None and former["spec"] == body["spec"]
        body["metadata"]["generation"] = before["generation"] + (not same)
        body["metadata"] |= {"uid": before["uid"], "resourceVersion": str(self.clock)}
        body["status"] = former["status"] if former else {}
        self.objects[key] = body
        if self.controller_runs:
            self._control(key)

    def _control(self, key: tuple[str, str]) -> None:
        controller, document = self.controllers[key[0]], self.objects[key]
        for _ in range(2):  # a new pod is ready the second time
            workloads = controller.workloads(document, self._ready)
            for one in workloads:
                if not any(pod.workload == one.name and pod.template == one.template for pod in self.pods.values()):
                    self.clock += 1
                    version = one.template["metadata"]["labels"]["model-factory/version"]
                    absent = Version(exit_code=3, log=f"there is no version {version} in the registry")
                    self._keep_pods({other.workload for other in self.pods.values()} - {one.name})
                    pod = self.make_pod(self.clock, one, self.versions.get(version, absent))
                    self.pods[pod.name] = pod
            self._keep_pods({one.name for one in workloads})
        self.weights = {one.template["metadata"]["labels"]["model-factory/version"]: one.weight for one in workloads}
        document["status"] = controller.status(document, workloads, self._ready)

    def _keep_pods(self, workloads: Collection[str]) -> None:
        for name, pod in list(self.pods.items()):
            if pod.workload not in workloads:
                self.pods.pop(name).stop()

    def _ready(self, workload: str) -> bool:
        return any(pod.workload == workload and pod.ready for pod in self.pods.values())


def _status(code: int, message: str) -> tuple[int, Any]:
    return code, {"kind": "Status", "code": code, "message": message}


@contextmanager
def serving(cluster: FakeCluster, folder: Path) -> Iterator[Path]:
    """Serve ``cluster`` until the block ends; give the kubeconfig file that leads to it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # head and body in one packet

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = cluster.handle(self.command, self.path, body, headers)
            sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "fake", "users": [{"name": "fake", "user": {}}],
        "clusters": [{"name": "fake", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
    }  # fmt: skip
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    try:
        yield file
    finally:
        server.shutdown()
        server.server_close()
