"""Variables of the environment. One that is empty counts as not set, as POSIX tools have it."""

from __future__ import annotations

import os

from acceptor.errors import UsageError

OTHERS_READ = (
    "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_CACHE",
    "TORCH_HOME", "MPLCONFIGDIR", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_HOME", "TOKENIZERS_PARALLELISM",
    "RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "TMPDIR",
)  # fmt: skip
"""Variables that libraries read."""


def variable(name: str) -> str | None:
    """What a variable says; None where it is not set, or empty."""
    return os.environ.get(name, "").strip() or None


def whole_number(name: str, default: int) -> int:
    """The whole number, 0 or more, that a variable says, or ``default`` where it is not set.

    Raises:
        UsageError: It says anything else.
    """
    text = variable(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise UsageError(
            f"the variable {name} says no number",
            expected="a whole number, 0 or more",
            found=f"{name}={text}",
            next=f"unset {name}",
        )
    return int(text)


def drop_empty_variables() -> None:
    """Takes variables that are empty out of this process' environment, where libraries would take them at their word.

    With ``XDG_CACHE_HOME=`` the hub's cache would be the working folder, with ``HF_ENDPOINT=`` there is no hub.
    """
    for name in OTHERS_READ:
        if name in os.environ and not os.environ[name].strip():
            del os.environ[name]
