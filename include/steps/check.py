"""Hold a spec against its data and its platform before anything runs; ``make check`` does so for every spec."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

from include.specs import (
    ROOT,
    FactoryError,
    ModelSpec,
    Platform,
    Problem,
    SpecError,
    load_all,
    load_platform,
    load_spec,
)
from include.specs.params import TrainingParams
from include.steps.catalogue import STEPS
from include.steps.context import Outcome, StepContext


def run(context: StepContext) -> Outcome:
    """Fail with every problem of the spec, its data and its platform at once."""
    from include.data.checks import check_data
    from include.data.runtime import platform_problems, resource_problems

    spec, platform = context.spec, context.platform
    report = check_data(spec, platform, context.pipeline, context.parse(TrainingParams))
    found = [
        *report.problems,
        *platform_problems(platform),
        *resource_problems(spec, platform, STEPS),
        *device_problems(spec, platform),
    ]
    values = {"rows": report.rows, "columns": report.columns, "warnings": [str(one) for one in report.warnings]}
    content = {**values, "problems": [asdict(one) for one in found]}
    (context.work / "check.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
    if found:
        raise SpecError(found)
    warned = f", {len(report.warnings)} warnings" if report.warnings else ""
    return Outcome(f"{report.rows} rows, {report.columns} columns: no problem{warned}", values)


def check_model(spec: ModelSpec, platform: Platform) -> tuple[list[Problem], list[Problem], str]:
    """Return problems, warnings and one phrase on the data of ``spec``."""
    from include.data.checks import check_data
    from include.data.runtime import resource_problems

    resources = [*resource_problems(spec, platform, STEPS), *device_problems(spec, platform)]
    try:
        report = check_data(spec, platform)
    except FactoryError as error:
        return [*resources, Problem(f"{spec.name}: data", str(error))], [], ""
    return [*report.problems, *resources], report.warnings, f"{report.rows} rows, {report.columns} columns"


def device_problems(spec: ModelSpec, platform: Platform) -> list[Problem]:
    """Return that ``spec`` asks for a GPU that its search would not see, if so and if it runs on this machine."""
    if spec.search.device == "cpu" or platform.runtime != "process" or platform.engines.search != "local":
        return []
    from include.automl.device import device_problem
    from include.automl.portfolio import able

    message = device_problem(spec.search.device, able(spec.search.families, spec.features)[0])
    return [Problem(f"{spec.name}: search.device", *message.split("; ", 1))] if message else []


def ask_cluster(models: Sequence[str], platform: Platform) -> tuple[dict[str, list[Problem]], str]:
    """Return what the cluster has against the pods of ``models``, by model, and why it could not be asked, if so.

    Pods are the other wing's: it is asked by its command line, as it asks for steps by ours.
    """
    if platform.runtime != "kubernetes" or not models:
        return {}, ""
    command = [sys.executable, "-m", "include.workflow.pods.check", *models]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {}, f"pods were not tried on the cluster: {last}"
    found: dict[str, list[Problem]] = {}
    for one in json.loads(done.stdout.splitlines()[-1]):
        found.setdefault(one["model"], []).append(Problem(one["where"], one["message"], one["fix"]))
    return found, ""


def main(arguments: Sequence[str]) -> int:
    """Check one model, or all; print every problem; return 1 when there is any."""
    from include.data.runtime import platform_problems

    try:
        platform = load_platform()
        found = platform_problems(platform)
        if arguments:
            specs = {arguments[0]: load_spec(arguments[0])}
        else:
            catalogue = load_all()
            specs, found = catalogue.specs, [*found, *catalogue.problems]
        refused, unasked = ask_cluster(list(specs), platform)
    except SpecError as error:
        specs, found, refused, unasked = {}, error.problems, {}, ""
    for problem in found:
        print(f"✗ {problem}")
    if unasked:
        print(f"! {unasked}")
    total = len(found)
    for name, spec in specs.items():
        problems, warnings, size = check_model(spec, platform)
        problems += refused.get(name, [])
        print(f"{'✗' if problems else '✓'} {name}" + (f": {size}" if size and not problems else ""))
        for problem in problems:
            print(f"    ✗ {problem}")
        for warning in warnings:
            print(f"    ! {warning}")
        total += len(problems)
    print("no problem" if not total else f"{total} problem{'s' if total > 1 else ''}")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
