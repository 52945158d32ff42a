"""Every step by name. A step is imported only when it runs, so that it imports what it uses and no more."""

from __future__ import annotations

from importlib import import_module

from include.specs import FactoryError, did_you_mean
from include.steps.context import StepFunction

STEPS = {
    # training
    "check": "include.steps.check",
    "snapshot": "include.steps.snapshot",
    "validate": "include.steps.validate",
    "prepare": "include.steps.prepare",
    "search_worker": "include.steps.search_worker",
    "search": "include.steps.search",
    "evaluate": "include.steps.evaluate",
    "report": "include.steps.report",
    "gate": "include.steps.gate",
    "register": "include.steps.register",
    # deployment
    "plan_release": "include.steps.plan_release",
    "shift": "include.steps.shift",
    "promote": "include.steps.promote",
    "rollback": "include.steps.rollback",
    # monitoring and retraining
    "monitor": "include.steps.monitor",
    "decide": "include.steps.decide",
    "close_retraining": "include.steps.close_retraining",
    # batch predictions
    "predict_batch": "include.steps.predict_batch",
    # feature store
    "materialize": "include.steps.materialize",
}
"""Step name → module with a function ``run(context) -> Outcome``."""


def find_step(name: str) -> StepFunction:
    """Return the function of step ``name``.

    Raises:
        FactoryError: there is no such step.
    """
    if name not in STEPS:
        raise FactoryError(f"there is no step '{name}'; {did_you_mean(name, STEPS)}")
    function: StepFunction = import_module(STEPS[name]).run
    return function
