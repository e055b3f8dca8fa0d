"""Servers of the same judge as users of other libraries would write them, and their starts."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from benchmarks.load.processes import REPOSITORY, Server, free_port

HERE = Path(__file__).resolve().parent
PATHS = {"fastapi": "/judge", "mosec": "/inference", "litserve": "/predict"}
READY = {"fastapi": "/ready", "mosec": "/", "litserve": "/health"}
VERSIONS = {"mosec": "0.9.8", "litserve": "0.2.19"}


def missing(name: str) -> str | None:
    """Why a peer cannot be started here; None if it can."""
    if name not in VERSIONS or python_of(name):
        return None
    packages = f"{name}=={VERSIONS[name]} onnxruntime tokenizers"
    return f"not installed: python -m venv build/{name}; build/{name}/bin/pip install {packages}"


def python_of(name: str) -> str | None:
    """The interpreter of a peer's own environment."""
    return shutil.which("python", path=str(REPOSITORY / "build" / name / "bin"))


def started(name: str, run: Path, onnx: Path) -> Server:
    """A peer that answers."""
    port = free_port()
    if name == "fastapi":
        command = [sys.executable, str(HERE / "fastapi_server.py"), str(run), str(port)]
    else:
        os.environ["JUDGE_ONNX"], os.environ["JUDGE_RUN"] = str(onnx), str(run)
        place = [str(port)] if name == "litserve" else ["--port", str(port), "--timeout", "30000"]
        command = [str(python_of(name)), str(HERE / f"{name}_server.py"), *place]
    return Server(command, lambda _log: port, READY[name])
