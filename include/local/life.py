"""The shipped run: one model's whole life, as Airflow DAG runs triggered through Airflow's API."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from include.local.airflow_api import AirflowApi, DagRun
from include.local.client import ModelClient
from include.local.follow import Follower, RunFailedError
from include.local.traffic import DRIFT_WEEKS, QUIET_WEEKS, ROLLOUT_WEEK, Traffic, traffic_for
from include.specs import ModelSpec, Platform
from include.store.prediction_log import PredictionLog
from include.store.runs import Result


@dataclass
class Journal:
    """What the run has done so far, kept in a file so that `make run` goes on where it was interrupted."""

    path: Path
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Journal:
        """Return the journal at ``path``, empty when there is none."""
        return cls(path, json.loads(path.read_text()) if path.is_file() else {})

    def write(self, stage: str, **facts: Any) -> None:
        """Add facts to a stage."""
        self.stages.setdefault(stage, {}).update(facts)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.stages, indent=2))
        temporary.replace(self.path)


class Life:
    """Carry one model through its life: train, release, serve, watch, drift, retrain, release again."""

    def __init__(self, spec: ModelSpec, platform: Platform, api: AirflowApi, console: Console) -> None:
        self.spec, self.platform, self.api, self.console = spec, platform, api, console
        self.journal = Journal.load(platform.home / "life" / f"{spec.name}.json")
        self.follower = Follower(platform, api, spec.name, console)
        self.client = ModelClient(platform, spec.name)
        self.results: dict[str, dict[str, Result]] = {}
        self.runs: dict[str, DagRun] = {}

    def live(self) -> str:
        """Run every stage that has not been run; return one sentence on how it ended."""
        name = self.spec.name
        self._title("Training", "data, validation, features, search, gates, registry")
        self.follower.wait_for_dag(f"{name}.automl_pipeline")
        trained = self._started("train", "automl_pipeline", {})
        if "register" not in trained:
            return f"the first candidate was rejected: {_rejection(trained)}"
        self._title("Release", "the new challenger starts a deployment by itself")
        released = self._awaited("release", "model_deployment", after="train")
        if "promote" not in released:
            return f"the first release was rolled back: {_rejection(released)}"
        traffic = traffic_for(self.spec, self.platform, trained["register"])
        self._title("Serving", f"{QUIET_WEEKS} weeks of traffic; the labels come later")
        self._replay("quiet", traffic, range(QUIET_WEEKS))
        self._title("Drift", traffic.story)
        watched = self._replay("drift", traffic, range(QUIET_WEEKS, QUIET_WEEKS + DRIFT_WEEKS))
        decision = watched["decide"]
        if not decision.values["retrain"]:
            return f"monitoring asked for no retraining: {decision.message}"
        self._title("Retraining", "started by the trigger that watches the signals")
        retrained = self._awaited("retrain", "model_retraining", after="drift")
        if "register" not in retrained:
            return f"the retrained candidate was rejected and the champion stays: {_rejection(retrained)}"
        self._title("Rollout", "the challenger takes over step by step, under traffic")
        week = traffic.week(ROLLOUT_WEEK)
        with self.client.steady(week, per_second=20) as answers:
            rolled_out = self._awaited("rollout", "model_deployment", after="retrain")
        if answers:
            self.console.print(f"  answered meanwhile: {', '.join(f'{n} by the {v}' for v, n in answers.items())}")
        if "promote" not in rolled_out:
            return f"the rollout was rolled back and the champion stays: {_rejection(rolled_out)}"
        return f"version {rolled_out['promote'].values['version']} is the new champion"

    def _title(self, stage: str, text: str) -> None:
        self.console.print(f"\n[bold cyan]{stage}[/] [dim]{datetime.now():%H:%M:%S}[/] {text}", highlight=False)

    def _started(self, stage: str, pipeline: str, conf: dict[str, Any]) -> dict[str, Result]:
        """Trigger ``pipeline`` for ``stage``, or find the run that an earlier try triggered, and follow it."""
        facts = self.journal.stages.get(stage, {})
        if "run_id" not in facts:
            self.journal.write(stage, run_id=f"life-{stage}-{datetime.now(UTC):%Y%m%dT%H%M%S}")
        run_id = self.journal.stages[stage]["run_id"]
        return self._followed(stage, self.api.trigger(f"{self.spec.name}.{pipeline}", run_id, conf))

    def _awaited(self, stage: str, pipeline: str, after: str) -> dict[str, Result]:
        """Wait for the run of ``pipeline`` that an asset starts after stage ``after``, and follow it."""
        dag_id = f"{self.spec.name}.{pipeline}"
        facts = self.journal.stages.get(stage, {})
        if "run_id" in facts:
            return self._followed(stage, self.api.run(dag_id, facts["run_id"]))
        since = self.runs[after].run_after
        run = self.follower.wait_for_run(dag_id, since)
        self.journal.write(stage, run_id=run.run_id)
        return self._followed(stage, run)

    def _followed(self, stage: str, run: DagRun) -> dict[str, Result]:
        self.runs[stage] = run
        self.results[stage] = self.follower.follow(run)
        return self.results[stage]

    def _replay(self, stage: str, traffic: Traffic, weeks: range) -> dict[str, Result]:
        """Send the requests of ``weeks`` and their labels, and let monitoring look at them."""
        name = f"{stage}_traffic"
        requests = [request for week in weeks for request in traffic.week(week)]
        if not requests:
            raise RunFailedError(f"there is no traffic for weeks {weeks}: the held-out rows are too few")
        if name not in self.journal.stages:
            answered = self.client.predict_all(requests)
            labels = self.client.send_labels(requests)
            self.journal.write(name, answered=answered, labels=labels)
        facts = self.journal.stages[name]
        first, last = requests[0].event_time, requests[-1].event_time
        self.console.print(
            f"  {first:%Y-%m-%d} … {last:%Y-%m-%d}: {facts['answered']} requests answered, {facts['labels']} labels",
            highlight=False,
        )
        self._wait_until_logged(len(requests), first, last)
        window = self.spec.monitoring.window
        results = self._started(stage, "model_monitoring", {"as_of": (last + window).isoformat()})
        for item in results["monitor"].values["windows"]:
            verdict = f"[red]{', '.join(item['signals'])}[/]" if item["signals"] else "[green]quiet[/]"
            self.console.print(f"    window {item['start'][:10]}  {item['rows']:>5} rows  {verdict}", highlight=False)
        return results

    def _wait_until_logged(self, count: int, first: datetime, last: datetime) -> None:
        """Return when the prediction log holds what was answered; the server writes it within a second."""
        import time

        log, deadline = PredictionLog(self.platform), time.monotonic() + 30
        while len(log.frame(self.spec.name, first, last + timedelta(seconds=1))) < count:
            if time.monotonic() > deadline:
                raise RunFailedError(f"the prediction log holds fewer than the {count} answered requests after 30 s")
            time.sleep(0.5)


def _rejection(results: dict[str, Result]) -> str:
    """Return why a run ended rejected."""
    return "; ".join(f"{r.step}: {r.message}" for r in results.values() if r.status == "rejected") or "no step said why"
