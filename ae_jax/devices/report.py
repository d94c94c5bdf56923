"""What JAX sees of this machine, and whether it is used well."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from ae_jax.core.errors import UserError

# What is there when the machine has an accelerator: {platform: (files, extra that installs JAX for it)}.
_HARDWARE = {
    "gpu": (("/dev/nvidia0", "/proc/driver/nvidia/version"), "cuda"),
    "tpu": (("/dev/accel0", "/dev/vfio/0"), "tpu"),
}


def describe(devices: Sequence[Any], backend: str, there: Sequence[str]) -> list[str]:
    """Lines on these devices of this backend, on a machine that has the hardware `there`, of "gpu" and "tpu"."""
    kinds = sorted({device.device_kind for device in devices})
    lines = [f"JAX uses {len(devices)} {backend} device{'s' * (len(devices) > 1)}: {', '.join(kinds)}"]
    for device in devices:
        if memory := (device.memory_stats() or {}).get("bytes_limit"):
            lines.append(f"device {device.id}: {memory / 2**30:.1f} GiB of memory")
    if backend == "cpu":
        lines.append(f"it computes on {cores()} core{'s' * (cores() > 1)}")
    unused = [platform for platform in there if platform != backend]
    for platform in unused:
        hidden = _hidden(platform)
        cure = f"unset {hidden}" if hidden else f"pip install -e .[{_HARDWARE[platform][1]}]"
        lines.append(f"this machine has a {platform.upper()}, and it is not used\ntry: {cure}")
    return lines if unused else [*lines, "nothing is left unused"]


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _hidden(platform: str) -> str:
    """The setting by which the environment keeps JAX from this hardware; "" where none does."""
    chosen, visible = os.environ.get("JAX_PLATFORMS"), os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen:
        return f"JAX_PLATFORMS={chosen}"
    return f"CUDA_VISIBLE_DEVICES={visible}" if platform == "gpu" and visible in ("", "-1") else ""


def hardware() -> list[str]:
    """The accelerators that this machine has, whatever JAX makes of them: "gpu", "tpu"."""
    return [name for name, (files, _) in _HARDWARE.items() if any(pathlib.Path(file).exists() for file in files)]


def check_reached() -> None:
    """Raises UserError where JAX is told to use what it cannot."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError):  # JAX asserts where it has no plugin for what it is told to use
        raise UserError(
            f"JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS')}, and JAX reaches no such device here\n"
            "try: unset JAX_PLATFORMS; or what installs JAX for a device, pip install -e .[cuda] or .[tpu]"
        ) from None


def report() -> list[str]:
    """`describe` of this machine. Raises UserError where JAX is told to use what it cannot."""
    import jax

    check_reached()
    backend = {"cuda": "gpu", "rocm": "gpu"}.get(jax.default_backend(), jax.default_backend())
    return [f"jax {jax.__version__}", *describe(jax.devices(), backend, hardware())]
