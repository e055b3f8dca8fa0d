"""records/inputs.md: by root n of n, then each case with its command and what it gives now."""

from __future__ import annotations

import platform
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reliability.inputs.case import REPOSITORY, Result

if TYPE_CHECKING:
    from reliability.inputs.__main__ import Tried

NAMES = {"run": "RUN", "other": "RUN2", "pairs": "PAIRS", "words": "RUN", "many": "EIGHT", "thirty": "THIRTY"}
NAMES |= {"onnx": "JUDGE.onnx", "encoder": "ENCODER", "cases": "../shared/cases", "python": "python"}
HEAD = """# What people bring

Files, labels, objects, outputs and machines as they are, tried from outside: each case is a file (or a folder, an
environment, an object) that a public bug report of this field is about, or a variant of it, and what must be seen.

```sh
make inputs
```

Commit {commit}, {date}, {machine}. RUN is a tiny judge of acceptability, PAIRS one of sentence pairs, EIGHT and THIRTY
have as many classes; all are made on the spot from an encoder with random weights. What a case asks for stands in
`reliability/inputs/`; here is what it gives.
"""


def words(result: Result | None) -> str:
    """The result of a case, in one line."""
    if result is None:
        return "skipped: its file is not here"
    found = result.json
    if result.code and found.get("error"):
        where = f" ({_last_part(found['where'])})" if found.get("where") else ""
        on = f" → {found['next']}" if found.get("next") else ""
        return _cut(f"{found['error']}: {found['problem']}{where}{on}")
    if train := found.get("train"):
        counts = ", ".join(f"{label} {number}" for label, number in train.get("balance", {}).items())
        faults = [one for one in found.get("findings", []) if one.get("severity") in ("error", "warning")]
        faults_text = "".join(
            f"{one['severity']}: {one.get('what', '')} → {one.get('advice', '')}; " for one in faults[:1]
        )
        return _cut(f"{faults_text}{train.get('schema')}; {train.get('rows')} rows; {counts or 'no labels'}", 260)
    output = (result.err if result.code else result.out).strip() or result.err.strip()
    line = next((line for line in output.splitlines() if line.strip()), "")
    return _cut(f"exit {result.code}" + (f": {line}" if line and not line.startswith("{") else ""))


def _last_part(where: str) -> str:
    return where.rpartition("/")[2]


def _cut(text: str, length: int = 220) -> str:
    flat = re.sub(r"\s+", " ", text)
    return flat if len(flat) <= length else flat[:length] + "…"


def cell(text: str) -> str:
    """Text in a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def command(run: str) -> str:
    """A command as a reader types it; a Python program in a line."""
    text = re.sub(r"\{(\w+)\}", lambda match: NAMES.get(match[1], match[0]), run)
    return _cut("; ".join(line.strip() for line in text.splitlines() if line.strip()), 260)


def page(done: Sequence[Tried], roots: dict[int, str], extra: Sequence[tuple[str, str, str]], commit: str) -> str:
    """The whole record.

    Args:
        done: All cases as tried.
        roots: Numbers and names of the roots.
        extra: Of combinations, threads and the like: what, the command, what it gave.
        commit: What was tried.
    """
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    lines = [HEAD.format(commit=commit, date=datetime.now(UTC).date().isoformat(), machine=machine)]
    lines += ["| root | right |", "|---|---|"]
    for root, name in roots.items():
        tried = [one for one in done if one.case.root == root and one.fault is not None]
        right = sum(not one.fault for one in tried)
        lines.append(f"| {root}. {name} | {right} of {len(tried)} |")
    lines += ["", "| beside the cases | command | found |", "|---|---|---|"]
    lines += [f"| {cell(what)} | `{how}` | {cell(found)} |" for what, how, found in extra]
    for root, name in roots.items():
        lines += ["", f"## {root}. {name}", "", "| | case | command | gives |", "|---|---|---|---|"]
        for one in done:
            if one.case.root == root:
                mark = (
                    "skipped"
                    if one.fault is None
                    else "right"
                    if not one.fault
                    else f"**{cell(_cut(one.fault, 120))}**"
                )
                lines.append(
                    f"| {mark} | {cell(one.case.what)} | `{cell(command(one.case.run)).replace('`', '')}` | {cell(words(one.result))} |"
                )
    return without_places("\n".join(lines) + "\n")


def without_places(text: str) -> str:
    """The record without the folders of the machine that it was made on."""
    text = text.replace(str(REPOSITORY.parent), "..")
    text = re.sub(re.escape(tempfile.gettempdir()) + r"/tmp\w+/kit/", "KIT/", text)
    return re.sub(re.escape(tempfile.gettempdir()) + r"/tmp\w+", "TMP", text)


def counted(counts: Counter[str] | dict[str, Any]) -> str:
    """Counts in words."""
    return ", ".join(f"{number:,} {name}" for name, number in counts.items())
