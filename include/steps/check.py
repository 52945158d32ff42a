"""Hold a spec against its data and its platform before anything runs; ``make check`` does so for every spec."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from include.specs import FactoryError, ModelSpec, Platform, Problem, SpecError, load_all, load_platform, load_spec
from include.specs.params import TrainingParams
from include.steps.catalogue import STEPS
from include.steps.context import Outcome, StepContext


def run(context: StepContext) -> Outcome:
    """Fail with every problem of the spec, its data and its platform at once."""
    from include.data.checks import check_data
    from include.data.runtime import platform_problems, resource_problems

    spec, platform = context.spec, context.platform
    report = check_data(spec, platform, context.pipeline, context.parse(TrainingParams))
    found = [*report.problems, *platform_problems(platform), *resource_problems(spec, platform, STEPS)]
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

    resources = resource_problems(spec, platform, STEPS)
    try:
        report = check_data(spec, platform)
    except FactoryError as error:
        return [*resources, Problem(f"{spec.name}: data", str(error))], [], ""
    return [*report.problems, *resources], report.warnings, f"{report.rows} rows, {report.columns} columns"


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
    except SpecError as error:
        specs, found = {}, error.problems
    for problem in found:
        print(f"✗ {problem}")
    total = len(found)
    for name, spec in specs.items():
        problems, warnings, size = check_model(spec, platform)
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
