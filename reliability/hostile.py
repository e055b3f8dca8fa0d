"""Models that try to run code, read other files or fill the memory: refused, or loaded without opening the trap.

`hostile_folders` and `hostile_weights` make their folders (`cases.py`, `folders.py`) and load them in one process that
watches itself (`loader.py`). Held means: no code run, nothing sent, nothing opened outside the folder, one of our
errors or a good model at the end, in less than two seconds of processor time and 50 MB. A model that is loaded from a
folder that has to be refused counts as read from outside it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reliability.cases import DEEP, LOADS, REFUSED, WEIGHTS, folder_cases
from reliability.folders import SECRET, Case, Place, bomb, good_encoder, good_run, safetensors, written
from reliability.outcome import Outcome

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 600  # seconds for a whole corpus


def hostile_folders(scratch: Path, tries: int | None = None) -> Outcome:
    """Tries encoders and runs that must not be loaded.

    Args:
        scratch: An empty folder to work in.
        tries: So many of them, spread over all kinds; None for all.
    """
    cases = folder_cases()
    if tries is not None:
        cases = cases[:: max(1, len(cases) // tries)][:tries]
    return _outcome("hostile folders refused, or loaded with the trap unopened", _loaded(scratch, cases))


def hostile_weights(scratch: Path, tries: int = 2000, seed: int = 0) -> Outcome:
    """Tries safetensors files that break the format, or fit no model.

    Args:
        scratch: An empty folder to work in.
        tries: So many more files with random bytes changed; they may load, if nothing else happens.
        seed: Of the changes.
    """
    good = (good_encoder(scratch / "weights") / WEIGHTS).read_bytes()
    cases = [Case(what, "encoder", REFUSED, written(WEIGHTS, data)) for what, data in _broken(good).items()]
    cases.append(Case("a header of 200 MB that is there", "encoder", REFUSED, _long_header))
    cases.append(Case("a zip behind the tensors", "encoder", REFUSED, _polyglot))
    mutate = random.Random(seed)
    cases += [Case(f"mutation {n}", "weights", "", written(WEIGHTS, _mutated(good, mutate))) for n in range(tries)]
    return _outcome("hostile safetensors refused in time", _loaded(scratch / "corpus", cases))


# ── weights ──────────────────────────────────────────────────────────────────────────────────────────────


def _parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _with(data: bytes, change: Any) -> bytes:
    """The file with its header's first tensor's entry changed by ``change(entry, header)``."""
    header, tensors = _parts(data)
    change(header[next(name for name in header if name != "__metadata__")], header)
    return safetensors(json.dumps(header).encode(), tensors)


def _twice(data: bytes) -> bytes:
    header, tensors = _parts(data)
    name, entry = next((name, entry) for name, entry in header.items() if name != "__metadata__")
    text = json.dumps(header)[:-1] + f", {json.dumps(name)}: {json.dumps(entry)}}}"
    return safetensors(text.encode(), tensors)


def _filled(data: bytes, value: bytes) -> bytes:
    """The first tensor's first number replaced."""
    header, _ = _parts(data)
    start = len(data) - len(_parts(data)[1])
    at = start + min(entry["data_offsets"][0] for name, entry in header.items() if name != "__metadata__")
    return data[:at] + value + data[at + 4 :]


def _broken(good: bytes) -> dict[str, bytes]:
    """Files that break the format in one way each."""

    def set_to(**changes: Any) -> bytes:
        return _with(good, lambda entry, header: entry.update(changes))

    tensors = _parts(good)[1]
    size = len(tensors)
    return {
        "a header of 2^63 bytes": (1 << 63).to_bytes(8, "little") + good[8:],
        "a header of 2^64 - 1 bytes": b"\xff" * 8 + good[8:],
        "a header of 200 MB that is not there": (200 << 20).to_bytes(8, "little") + good[8:],
        "a header of 0 bytes": bytes(8) + good[8:],
        "a header longer than the file": (len(good)).to_bytes(8, "little") + good[8:],
        "nothing": b"",
        "seven bytes": good[:7],
        "eight bytes": good[:8],
        "the header alone": good[: len(good) - size],
        "half": good[: len(good) // 2],
        "one byte short": good[:-1],
        "one byte long": good + b"\0",
        "a header that is no JSON": safetensors(b"x" * 64, tensors),
        "a header that is a list": safetensors(b"[]", tensors),
        "a header that is deep": safetensors(b'{"a": ' + DEEP + b"}", tensors),
        "a header that is not UTF-8": safetensors(b'{"\xff": 1}', tensors),
        "a header without tensors": safetensors(b"{}", b""),
        "metadata that is a number": _with(good, lambda entry, header: header.update(__metadata__=1)),
        "a tensor twice": _twice(good),
        "a tensor over another": set_to(data_offsets=[0, size]),
        "a hole": _with(good, lambda entry, header: header.popitem()),
        "offsets the wrong way": set_to(data_offsets=[64, 0]),
        "offsets past the end": set_to(data_offsets=[size, 2 * size]),
        "offsets of 2^64": set_to(data_offsets=[2**64, 2**64 + 4]),
        "offsets below 0": set_to(data_offsets=[-4, 0]),
        "no offsets": _with(good, lambda entry, header: entry.pop("data_offsets")),
        "a shape that overflows": set_to(shape=[2**62, 4]),
        "a shape of 2^40 and 2^40": set_to(shape=[2**40, 2**40]),
        "a shape below 0": set_to(shape=[-16]),
        "a shape of halves": set_to(shape=[0.5]),
        "a shape of words": set_to(shape=["16"]),
        "a shape with 100,000 sides": set_to(shape=[1] * 100_000),
        "no shape": _with(good, lambda entry, header: entry.pop("shape")),
        "an unknown type": set_to(dtype="F128"),
        "a type of 8 bits": set_to(dtype="F8_E4M3"),
        "a type that is a list": set_to(dtype=["F32"]),
        "another type": set_to(dtype="F16"),
        "NaN": _filled(good, b"\0\0\xc0\x7f"),
        "infinity": _filled(good, b"\0\0\x80\x7f"),
        "less than all numbers": _filled(good, b"\0\0\x80\xff"),
    }


def _long_header(place: Place) -> None:
    """200 MB of header in a sparse file, which needs no disk space."""
    with (place.folder / WEIGHTS).open("wb") as stream:
        stream.write((200 << 20).to_bytes(8, "little"))
        stream.truncate((200 << 20) + 4096)


def _polyglot(place: Place) -> None:
    good = (place.folder / WEIGHTS).read_bytes()
    bomb(WEIGHTS, "zip")(place)
    (place.folder / WEIGHTS).write_bytes(good + (place.folder / WEIGHTS).read_bytes())


def _mutated(good: bytes, mutate: random.Random) -> bytes:
    """One to eight bytes of the first kilobyte changed, taken out or put in; sometimes a cut."""
    data = bytearray(good)
    for _ in range(mutate.randint(1, 8)):
        at = mutate.randrange(min(1024, len(data)) or 1)
        kind = mutate.randrange(4)
        if kind == 0:
            del data[at : at + mutate.randint(1, 4)]
        elif kind == 1:
            data[at:at] = mutate.choice([b"9", b"-", b"[", b"}", b'"', b"\xff", b"e9", b"null"])
        elif data:
            data[at] = mutate.randrange(256)
    return bytes(data[: mutate.randrange(len(data) + 1)]) if mutate.random() < 0.1 else bytes(data)


# ── loading ──────────────────────────────────────────────────────────────────────────────────────────────


def _loaded(scratch: Path, cases: Sequence[Case]) -> list[tuple[Case, dict[str, Any]]]:
    """Every case with the loading process's result."""
    good, run, outside = scratch / "good", scratch / "run", scratch / "outside"
    scratch.mkdir(parents=True, exist_ok=True)
    good_run(run, good_encoder(good))
    shutil.copytree(good, outside)
    (outside / "secret.txt").write_text(f"{SECRET}\n", "utf-8")
    canary, temporary = scratch / "canary", scratch / "temporary"
    temporary.mkdir()
    listed = []
    for number, case in enumerate(cases):
        folder = scratch / "cases" / str(number) / case.path
        if case.kind == "weights":
            folder.mkdir(parents=True)
        else:
            shutil.copytree(run if case.kind == "run" else good, folder)
        case.change(Place(folder, outside, canary))
        listed.append({"name": str(number), "kind": case.kind, "folder": str(folder)})
    warm = [{"kind": "encoder", "folder": str(good)}, {"kind": "run", "folder": str(run)}]
    (scratch / "cases.json").write_text(json.dumps({"warm": warm, "cases": listed}), "utf-8")
    results = scratch / "results.jsonl"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        "TMPDIR": str(temporary),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "0",  # so that a call would be seen
    }
    arguments = [str(scratch / "cases.json"), str(results), str(canary)]
    command = [sys.executable, "-m", "reliability.loader", *arguments]
    try:
        died = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE).stderr[-400:]
    except subprocess.TimeoutExpired:
        died = f"no end within {PATIENCE} s"
    lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()] if results.exists() else []
    nothing = {"ended": f"never tried: {died}", "bad": []}
    if canary.exists():  # code ran after the last case, or unnoticed
        lines = []
    return [(case, lines[number] if number < len(lines) else nothing) for number, case in enumerate(cases)]


def _outcome(promise: str, results: list[tuple[Case, dict[str, Any]]]) -> Outcome:
    failures = []
    for case, result in results:
        fine = result["ended"] == case.ends or (not case.ends and result["ended"] in (REFUSED, LOADS))
        if not fine or result["bad"]:
            said = "; ".join([result["ended"], *result["bad"]])
            failures.append(f"{case.kind}, {case.name}: {said}")
    return Outcome(promise, len(results) - len(failures), len(results), tuple(failures))
