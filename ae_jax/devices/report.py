"""A report of the devices that JAX uses, and of accelerators that it leaves unused."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from ae_jax.core.errors import UserError

# {platform: (files that exist on machines with such an accelerator, extra that installs JAX for it)}.
_HARDWARE = {
    "gpu": (("/dev/nvidia0", "/proc/driver/nvidia/version"), "cuda"),
    "tpu": (("/dev/accel0", "/dev/vfio/0"), "tpu"),
}
# JAX names a GPU backend after its vendor's software.
_PLATFORMS = {"cuda": "gpu", "rocm": "gpu"}


def report() -> list[str]:
    """Return lines that describe JAX and the devices of this machine.

    Raises:
      UserError: if JAX_PLATFORMS names a platform that JAX cannot use here.
    """
    import jax

    check_reached()
    backend = jax.default_backend()
    described = describe(jax.devices(), _PLATFORMS.get(backend, backend), hardware())
    return [f"jax {jax.__version__}", *described]


def describe(devices: Sequence[Any], backend: str, accelerators: Sequence[str]) -> list[str]:
    """Describe the devices that JAX uses, and the accelerators that it leaves unused.

    Args:
      devices: the devices of JAX.
      backend: their platform: "cpu", "gpu" or "tpu".
      accelerators: the platforms of the accelerators that this machine has, as `hardware` returns them.

    Returns:
      Lines of text.
    """
    kinds = sorted({device.device_kind for device in devices})
    lines = [f"JAX uses {len(devices)} {backend} device{'s' * (len(devices) > 1)}: {', '.join(kinds)}"]
    for device in devices:
        # Devices of a CPU return None in place of statistics.
        statistics = device.memory_stats() or {}
        if memory := statistics.get("bytes_limit"):
            lines.append(f"device {device.id}: {memory / 2**30:.1f} GiB of memory")
    if backend == "cpu":
        lines.append(f"it computes on {cores()} core{'s' * (cores() > 1)}")
    unused = [platform for platform in accelerators if platform != backend]
    for platform in unused:
        lines.append(f"this machine has a {platform.upper()}, and it is not used\ntry: {_remedy(platform)}")
    return lines if unused else [*lines, "nothing is left unused"]


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    # The affinity, which batch systems restrict, is known on Linux only.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def hardware() -> list[str]:
    """Return the platforms, "gpu" or "tpu", of this machine's accelerators, used or not."""
    found = []
    for platform, (files, _) in _HARDWARE.items():
        if any(pathlib.Path(file).exists() for file in files):
            found.append(platform)
    return found


def check_reached() -> None:
    """Check that JAX can use the platform that the environment asks for.

    Raises:
      UserError: if JAX_PLATFORMS names a platform that JAX cannot use here.
    """
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError):  # JAX asserts if no plugin for the platform is installed
        raise UserError(
            f"JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS')}: JAX finds no such device on this machine\n"
            "unset JAX_PLATFORMS, or install JAX for the device: pip install -e .[cuda] or .[tpu]"
        ) from None


def _remedy(platform: str) -> str:
    """Return the command that lets JAX use an accelerator."""
    hiding = _hiding_setting(platform)
    if hiding:
        return f"unset {hiding}"
    _, extra = _HARDWARE[platform]
    return f"pip install -e .[{extra}]"


def _hiding_setting(platform: str) -> str:
    """Return the setting NAME=VALUE that hides an accelerator from JAX, or "" without one."""
    chosen = os.environ.get("JAX_PLATFORMS")
    if chosen:
        return f"JAX_PLATFORMS={chosen}"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if platform == "gpu" and visible in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES={visible}"
    return ""
