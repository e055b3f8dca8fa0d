"""Writes `records/serving.md`: every promise with what was found, on which machine, by which command."""

from __future__ import annotations

import json
import os
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.load.checks import Check, Part
from benchmarks.load.processes import BUILD, REPOSITORY

RECORD = REPOSITORY / "records" / "serving.md"
KEPT = BUILD / "parts"  # what came of each part, so that one can be measured again alone
TITLES = {
    "throughput": "Throughput and latency",
    "ledger": "A ledger of every request",
    "signals": "Signals under load",
    "hostile": "Hostile clients",
    "schema": "Schemathesis",
    "leak": "Leaks",
}
STATES = {True: "kept", False: "**missed**", None: "not judged"}


def conditions() -> dict[str, Any]:
    """When, where and with what this was measured."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=REPOSITORY, check=False
    ).stdout.strip()
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit,
        "cpu": models[0] if models else "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "versions": {name: version(name) for name in ("acceptor", "granian", "starlette", "torch", "onnxruntime")},
    }


def keep(name: str, part: Part, where: dict[str, Any], command: str) -> None:
    """Keeps what came of a part, and writes the record anew if each part has been measured."""
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{name}.json").write_text(json.dumps({"where": where, "command": command, "part": part}), "utf-8")
    files = {each: KEPT / f"{each}.json" for each in TITLES}
    if all(file.exists() for file in files.values()):
        _write({each: json.loads(file.read_text("utf-8")) for each, file in files.items()})


def _write(kept: dict[str, Any]) -> None:
    parts = {name: Part([Check(*check) for check in one["part"][0]], one["part"][1]) for name, one in kept.items()}
    checks = [check for part in parts.values() for check in part.checks]
    missed = [check for check in checks if check.is_kept is False]
    right = sum(check.is_kept is True for check in checks)
    lines = [
        "# Serving",
        "",
        "`acceptor serve` as a process of its own, on loopback, with the demo's judge (`minilm`; leaks: a judge of one "
        "layer); server and clients share the machine. `make load` measures all parts, and writes this page.",
        "",
        f"{right} of {right + len(missed)} promises are kept." + (" Missed:" if missed else ""),
        *[""] * bool(missed),
        *[f"- {check.what}: {check.found}; promised: {check.target}" for check in missed],
    ]
    for name, part in parts.items():
        where, command = kept[name]["where"], kept[name]["command"]
        versions = ", ".join(f"{package} {number}" for package, number in where["versions"].items())
        lines += ["", f"## {TITLES[name]}", "", f"`{command}`: {where['date']}, commit {where['commit']}, "]
        lines[-1] += f"{where['cores']} cores of {where['cpu']}, {versions}."
        lines += ["", "| what | found | promised | |", "|---|---|---|---|", *(_row(check) for check in part.checks)]
    raw = {name: {"conditions": one["where"], "figures": one["part"][1]} for name, one in kept.items()}
    lines += ["", "## Raw output", "", "```json", json.dumps(raw, ensure_ascii=False), "```", ""]
    RECORD.write_text("\n".join(lines), "utf-8")


def _row(check: Check) -> str:
    cells = (check.what, check.found, check.target, STATES[check.is_kept])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def line_of(parts: dict[str, Part], where: dict[str, Any]) -> str:
    """All figures as one JSON object on one line."""
    checks = [check._asdict() | {"part": name} for name, part in parts.items() for check in part.checks]
    figures = {name: part.figures for name, part in parts.items()}
    return json.dumps({"conditions": where, "checks": checks, "figures": figures}, ensure_ascii=False)
