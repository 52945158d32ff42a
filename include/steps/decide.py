"""Decide whether what monitoring saw calls for new training, and ask for it."""

from __future__ import annotations

import json

from include.monitoring.policy import decide
from include.registry.models import Registry
from include.steps.context import Outcome, StepContext
from include.store.signals import SignalStore


def run(context: StepContext) -> Outcome:
    """Hold the analysed windows against the retraining policy; a request is what starts model_retraining."""
    spec, signals = context.spec, SignalStore(context.platform)
    champion = Registry(context.platform).get(spec.name, "champion")
    if champion is None:
        return Outcome(f"model '{spec.name}' has no champion to train again; run model_deployment first", rejected=True)
    policy = spec.retraining
    earlier = [request for request in signals.requests(spec.name) if request.evidence.get("run") != context.run]
    decision = decide(signals.windows(spec.name), earlier, str(champion.number), policy)
    evidence = decision.evidence()
    values = {
        "retrain": decision.retrain,
        "reason": decision.reason,
        "k": policy.k,
        "n": policy.n,
        "counted": [window["start"] for window in evidence["windows"]],
    }
    (context.work / "decision.json").write_text(json.dumps(values | evidence, indent=2), encoding="utf-8")
    if not decision.retrain:
        return Outcome(f"no retraining: {decision.reason}", values)
    request = evidence | {"run": context.run, "version": champion.number}
    signals.request_retraining(spec.name, decision.window_start, decision.reason, request)
    return Outcome(f"retraining asked for: {decision.reason}", values)
