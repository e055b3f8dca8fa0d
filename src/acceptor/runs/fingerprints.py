"""``train_hashes.safetensors``: fingerprints of the training rows, to find leaks into test data later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from acceptor.errors import RunError

FINGERPRINTS_FILE = "train_hashes.safetensors"
MAX_BYTES = 1 << 30  # 134 million rows


def write_fingerprints(folder: Path, hashes: npt.NDArray[np.uint64]) -> None:
    """Writes fingerprints of train, sorted and without duplicates, to a run folder."""
    from safetensors.numpy import save_file

    save_file({"sentences": np.unique(hashes)}, folder / FINGERPRINTS_FILE)


def read_fingerprints(folder: Path) -> npt.NDArray[np.uint64] | None:
    """Reads a run's fingerprints of train; None if it has none.

    Raises:
        RunError: The file was not written by `write_fingerprints`.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / FINGERPRINTS_FILE
    if not path.exists():
        return None
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES >> 20} MB")
        hashes = load_file(path)["sentences"]
        if hashes.dtype != np.uint64 or hashes.ndim != 1:
            raise ValueError(f"{hashes.dtype} of {hashes.ndim} dimensions")
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunError(
            f"{FINGERPRINTS_FILE} cannot be read",
            where=str(path),
            expected="one list of 64-bit numbers, `sentences`",
            cause=f"{type(error).__name__}: {error}",
            code="E-RUN-FILE",
        ) from error
    return np.asarray(hashes)
