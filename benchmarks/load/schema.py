"""Schemathesis on the server's own description: requests that follow it, and requests that do not."""

from __future__ import annotations

import re
import shutil
import subprocess

from benchmarks.load.checks import Check, Part
from benchmarks.load.processes import REPOSITORY, acceptor_server
from benchmarks.load.texts import Material

VERSION = "4.32.5"
SECONDS = 240
PLACE = REPOSITORY / "build" / "schemathesis"
WHAT = f"Schemathesis {VERSION} over /openapi.json"
INSTALL = "python -m venv build/schemathesis; build/schemathesis/bin/pip install schemathesis==" + VERSION


def schema(material: Material) -> Part:
    """Server errors that Schemathesis finds, with a fixed seed."""
    program = shutil.which("schemathesis", path=str(PLACE / "bin"))
    if program is None:
        skipped = f"not installed: {INSTALL}"
        return Part([Check(f"{WHAT}: server errors", skipped, "0", None)], {"skipped": skipped})
    examples = 5 if material.quick else 30
    with acceptor_server(material.run, "--precision", "fp32") as server:
        command = [program, "run", f"http://127.0.0.1:{server.port}/openapi.json", "--seed", "1"]
        command += ["--checks", "not_a_server_error", "--max-examples", str(examples), "--no-color"]
        command += ["--phases", "examples,coverage,fuzzing", "--request-timeout", "60"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=material.scratch)
            output, code = done.stdout, done.returncode
        except subprocess.TimeoutExpired as error:
            output, code = (error.stdout or b"").decode(), None
        failures = re.findall(r"\[(5\d\d)\] .*", output)
        is_ready = server.status("/health/ready") == 200
    cases = [int(number) for number in re.findall(r"(\d+) generated", output)]
    figures = {
        "version": VERSION,
        "seed": 1,
        "cases": sum(cases),
        "exit_code": code,
        "server_errors": len(failures),
        "ready_afterwards": is_ready,
        "output": output[-3_000:] if code != 0 else "",
    }
    found = (
        f"{len(failures)}, exit code {code}, {sum(cases):,} cases" if code is not None else f"not done in {SECONDS} s"
    )
    return Part([Check(f"{WHAT}: server errors", found, "0, exit code 0", code == 0 and is_ready)], figures)
