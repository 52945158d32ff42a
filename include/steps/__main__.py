"""The entry point that a process or a pod starts: ``python -m include.steps STEP --model M --run R``."""

from __future__ import annotations

import argparse
import json
import logging
import sys

from include.specs import FactoryError, load_platform
from include.steps.catalogue import STEPS
from include.steps.kernel import Call, execute

EXIT_CODES = {"done": 0, "failed": 1, "rejected": 10}


def main(arguments: list[str] | None = None) -> int:
    """Run one step; return 0 when it is done, 10 when a gate rejected the run, 1 when it failed."""
    parser = argparse.ArgumentParser(prog="python -m include.steps", description=__doc__)
    parser.add_argument("step", choices=sorted(STEPS))
    parser.add_argument("--model", required=True, help="name of the model spec")
    parser.add_argument("--pipeline", default="by_hand", help="name of the pipeline")
    parser.add_argument("--run", required=True, help="name of the run folder")
    parser.add_argument("--task", help="name under which the step runs; the step's own when absent")
    parser.add_argument("--params", default="{}", help="the run's parameters, as a JSON object")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        call = Call(
            step=options.step,
            task=options.task or options.step,
            model=options.model,
            pipeline=options.pipeline,
            run=options.run,
            params=json.loads(options.params),
        )
        result = execute(call, load_platform())
    except (FactoryError, json.JSONDecodeError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return EXIT_CODES["failed"]
    print(f"{result.status}: {result.message}", file=sys.stderr)
    return EXIT_CODES[result.status]


if __name__ == "__main__":
    sys.exit(main())
