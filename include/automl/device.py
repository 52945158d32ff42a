"""Whether a search that asks for a GPU would have one."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from include.automl.families import find_family

_DRIVER = "libcuda.so.1"


def cuda_devices() -> int:
    """Return how many CUDA devices the driver of this machine names; 0 where there is no driver."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return 0
    count = ctypes.c_int()
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return 0 if failed else count.value


def device_problem(device: str, families: Sequence[str]) -> str:
    """Return why no model of a search would be fitted on ``device``; nothing where one would, or it is the CPU.

    Args:
        device: ``cpu`` or ``cuda``, as the spec says.
        families: names of the families that are searched.
    """
    if device == "cpu":
        return ""
    able = [name for name in families if find_family(name).uses_gpu]
    if not able:
        return f"none of {', '.join(families)} uses a GPU; add xgboost to search.families, or set cpu"
    if any(find_family(name).can_see_gpu(cuda_devices()) for name in able):
        return ""
    return f"cuda is asked for, but {', '.join(able)} sees no GPU here; set cpu, or search where there is one"
