"""Reads environment variables. An empty one counts as not set, as in POSIX tools."""

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
    """A variable's value; None if it is not set, or empty."""
    return os.environ.get(name, "").strip() or None


def whole_number(name: str, default: int) -> int:
    """The whole number, 0 or more, in a variable; ``default`` if it is not set.

    Raises:
        UsageError: The variable holds anything else.
    """
    text = variable(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise UsageError(
            f"the variable {name} holds no number",
            expected="a whole number, 0 or more",
            found=f"{name}={text}",
            next=f"unset {name}",
            code="E-USAGE-ENVIRONMENT",
        )
    return int(text)


def drop_empty_variables() -> None:
    """Removes empty variables from this process' environment, because libraries would use their empty value.

    With ``XDG_CACHE_HOME=`` the hub's cache would be the working folder, with ``HF_ENDPOINT=`` there is no hub.
    """
    for name in OTHERS_READ:
        if name in os.environ and not os.environ[name].strip():
            del os.environ[name]
