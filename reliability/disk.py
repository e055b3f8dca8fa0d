"""Damaged, hostile and unwritable folders, full disks, and the cost of checkpoints."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from acceptor.errors import ResourceError, RunError, UsageError
from acceptor.model.pretrained import find_encoder
from acceptor.runs import checkpoint as stored
from acceptor.runtime.device import choose_runtime
from acceptor.storage.files import write_json
from acceptor.storage.manifest import MANIFEST, check_manifest, file_sha256
from acceptor.training import checkpoint
from acceptor.training import train as runs
from acceptor.training.flat_adamw import FlatAdamW
from reliability.outcome import Outcome
from reliability.process import (
    ERRORS,
    KINDS,
    Work,
    difference,
    digest_of,
    interrupted,
    limit_files,
    outcome,
    said,
    seen,
    start,
    wait,
)

NOBODY = 65534


def damaged(work: Work, flips: int, cuts: int, seed: int = 0) -> Outcome:
    """A bit flipped, or an end cut off or zeroed, in any file of the newest checkpoint or of a finished run."""
    rng, failures = random.Random(seed), []
    place = work.scratch / "begun"
    interrupted(work, place)
    latest = stored.newest_first(place)[0]
    for number in range(flips + cuts):
        folder = latest if number % 2 else work.scratch / "undisturbed"
        file = rng.choice([path for path in sorted(folder.rglob("*")) if path.is_file()])
        before = file.read_bytes()
        file.write_bytes(_turned(before, rng) if number < flips else _cut(before, rng))
        try:
            if folder == latest:
                found = stored.newest_whole(place, stored.read_state)[0] != latest
            else:
                check_manifest(folder)
                found = False
        except RunError as error:
            found = folder != latest and (file.name in str(error) or file.name == MANIFEST)
        except Exception as error:
            found = False
            failures.append(f"{file.relative_to(work.scratch)}: {error!r}")
        if not found:
            failures.append(f"{file.relative_to(work.scratch)}: not found")
        file.write_bytes(before)
    return outcome("damaged files found, the checkpoint before taken", flips + cuts, failures)


def hostile_states(work: Work) -> Outcome:
    """Checkpoints with a right manifest and wrong content: the one before is used, or there is a typed error."""
    place, failures = work.scratch / "hostile", []
    interrupted(work, place)
    latest, before = stored.newest_first(place)
    settings = stored.read_state(latest).settings
    runtime = choose_runtime("cpu", "fp32")
    judge, encoded, _ = runs._prepare(work.data, find_encoder(work.config.encoder), work.config, runtime, static=False)
    optimizer = FlatAdamW(judge.model, work.config, bf16=False, ids=encoded["train"].ids, pad_id=0)
    checkpoints = checkpoint.Checkpoints(place, judge.model, optimizer, settings, writes=False)
    whole = {path: path.read_bytes() for path in (*latest.iterdir(), *before.iterdir())}
    for name, spoil in SPOILS.items():
        for folders in ((latest,), (latest, before)):
            for folder in folders:
                spoil(folder)
                files = {path.name: file_sha256(path) for path in folder.iterdir() if path.name != MANIFEST}
                write_json(folder / MANIFEST, {"files": files})
            try:
                step = checkpoints.load(allow_change=False)[0].step
                came = "loaded" if folders == (latest, before) or step != stored.age(before)[0] else ""
            except (RunError, UsageError) as error:
                came = "" if len(folders) == 2 or isinstance(error, UsageError) else f"{error}"
            except Exception as error:
                came = repr(error)
            if came:
                failures.append(f"{name}, {len(folders)} spoilt: {came[:300]}")
            for path, content in whole.items():
                path.write_bytes(content)
    code = wait(start(work, place))
    if code != 0 or difference(work, place):
        failures.append(f"what was mended does not go on: {said(work, place.name)} {difference(work, place)}")
    return outcome("hostile checkpoints refused, the one before taken", 2 * len(SPOILS), failures)


def disk_full(work: Work, tries: int, seed: int = 0) -> Outcome:
    """No file may grow past a random size: the old checkpoint stays, no incomplete file does, the training resumes."""
    rng, failures = random.Random(seed), []
    for number in range(tries):
        place = work.scratch / f"full-{number}"
        interrupted(work, place)
        old = digest_of(stored.newest_first(place)[0])
        most = rng.randrange((stored.newest_first(place)[0] / "state.safetensors").stat().st_size)
        code = wait(start(work, place, before=partial(limit_files, most)))
        held = digest_of(stored.newest_first(place)[0]) == old and not list(place.rglob("*.part"))
        held = held and code == KINDS[ResourceError] and not list(work.scratch.glob(f".{place.name}.*"))
        code = wait(start(work, place))
        if not held or code != 0 or difference(work, place):
            failures.append(f"files up to {most} bytes: {ERRORS.get(code, code)}")
        shutil.rmtree(place)
    return outcome("disk full in a save: nothing lost or left over", tries, failures)


def unwritable(work: Work) -> Outcome:
    """No permission, a file in the way, a read-only place: reported before any work; during a run nothing is lost."""
    scratch, failures = work.scratch / "unwritable", []
    locked = scratch / "locked"
    locked.mkdir(parents=True)
    locked.chmod(0o555)
    for folder in (work.scratch.parent, work.scratch, work.scratch / "seen"):
        folder.chmod(0o777)  # so that another user can report the result
    (scratch / "file").write_text("")
    (scratch / "dead").symlink_to(scratch / "nowhere")
    places = {
        "no permission": locked / "run",
        "a file in the way": scratch / "file" / "run",
        "a dead link in the way": scratch / "dead" / "run",
        "a read-only place": Path("/proc/self/run"),
        "a name too long": scratch / ("long" * 80) / "run",
    }
    for name, place in places.items():
        code = wait(start(work, place, before=_nobody if name == "no permission" else None))
        words = said(work, "run")
        if code != KINDS[ResourceError] or "cannot be written" not in words or "next:" not in words:
            failures.append(f"{name}: {ERRORS.get(code, code)} {words}")
        for log in (work.scratch / "seen").glob("run*"):
            log.unlink()
    place = scratch / "mid-run"
    code = wait(start(work, place, before=partial(_put_in_the_way, place)))
    refused = code == KINDS[ResourceError] and "cannot be written" in said(work, place.name)
    os.remove(place / "checkpoints")
    (scratch / "aside").rename(place / "checkpoints")
    if not refused or wait(start(work, place)) != 0 or difference(work, place):
        failures.append(f"in mid-run: {ERRORS.get(code, code)} {said(work, place.name)} {difference(work, place)}")
    return outcome("output that cannot be written: said before any work", len(places) + 1, failures)


def cheap(work: Work, tries: int) -> Outcome:
    """At the default intervals checkpoints take at most their share of the time, unless the last takes longest."""
    failures, shares = [], []
    for number in range(tries):
        place = work.scratch / f"cheap-{number}"
        config = work.config.model_copy(update={"epochs": 100})
        code = wait(start(work, place, config, often=False))
        took = [float(line.split()[1]) for line in seen(work, place.name) if line.startswith("took")]
        last = json.loads((place / "history.jsonl").read_text().splitlines()[-1])
        took[-1] = min(took[-1], max(took[:-1], default=took[-1]))  # which could not be known before
        shares.append(sum(took) / last["seconds"])
        if code != 0 or len(took) < 2 or shares[-1] > checkpoint.MAX_SAVING_SHARE:
            failures.append(f"{len(took)} checkpoints took {sum(took):.2f} s of {last['seconds']:.1f} s")
    most = f"checkpoints take {max(shares):.2%} of the time, 3 % at most"
    return outcome(most, tries, failures)


def _turned(content: bytes, rng: random.Random) -> bytes:
    changed, at = bytearray(content), rng.randrange(len(content))
    changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(content: bytes, rng: random.Random) -> bytes:
    """Cut short; or with its last bytes zeroed, if that changes it."""
    at = rng.randrange(len(content))
    zeroed = content[:at] + bytes(len(content) - at)
    return zeroed if rng.random() < 0.5 and zeroed != content else content[:at]


def _nobody() -> None:
    if os.geteuid() == 0:  # root ignores permissions
        os.seteuid(NOBODY)


def _put_in_the_way(place: Path) -> None:
    """At the fifth step, a file replaces the folder of checkpoints."""
    save = checkpoint.Checkpoints.save

    def saving(self: Any, progress: Any, *rest: Any) -> None:
        if progress.step == 5:
            (place / "checkpoints").rename(place.parent / "aside")
            (place / "checkpoints").write_text("")
        save(self, progress, *rest)

    checkpoint.Checkpoints.save = saving


# Faults of a checkpoint whose manifest is right.


def _set(*path: str | int, value: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        state = json.loads((folder / "state.json").read_text())
        inner = state
        for key in path[:-1]:
            inner = inner[key]
        if value is ...:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value
        (folder / "state.json").write_text(json.dumps(state))

    return spoil


def _text(change: Callable[[str], str]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / "state.json").write_text(change((folder / "state.json").read_text()))

    return spoil


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "state.safetensors"
        path.write_bytes(change(path.read_bytes()))

    return spoil


def _tensor(name: str, change: Callable[[Any], Any] | None) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        tensors = load_file(folder / "state.safetensors")
        old = tensors.pop(name, None)
        if change:
            tensors[name] = change(old)
        save_file(tensors, folder / "state.safetensors")

    return spoil


def _with(value: float) -> Callable[[Any], Any]:
    def change(tensor: Any) -> Any:
        changed = tensor.clone()
        changed.view(-1)[-1] = value
        return changed

    return change


HEAD = "model.classifier.weight"
SPOILS: dict[str, Callable[[Path], None]] = {
    "no JSON": _text(lambda _: "{"),
    "nothing": _text(lambda _: ""),
    "a list": _text(lambda _: "[]"),
    "nested deeply": _text(lambda _: '{"a":' * 100_000),
    "a key twice": _text(lambda text: text.replace("{", '{"decay": 1.0, ', 1)),
    "NaN": _text(
        lambda text: text.replace('"decay": 1.0', '"decay": NaN').replace('"decay": 0.', '"decay": NaN, "x": 0.')
    ),
    "an infinite number": _text(lambda text: text.replace('"seconds": ', '"seconds": 1e999, "then": ')),
    "a number of 5000 digits": _text(
        lambda text: text.replace('"epoch_examples": ', '"epoch_examples": 1' + "0" * 5000)
    ),
    **{f"no {key}": _set(key, value=...) for key in ("progress", "decay", "micro_batch", "settings", "history")},
    **{f"{key} null": _set(key, value=None) for key in ("progress", "decay", "micro_batch", "settings", "history")},
    **{
        f"no step in progress: {value!r}": _set("progress", "step", value=value)
        for value in (..., -1, 10**9, "7", 1.5, True)
    },
    **{f"epoch {value!r}": _set("progress", "epoch", value=value) for value in (-1, 5, None, [])},
    "unknown progress": _set("progress", "more", value=1),
    **{f"micro-batch {value!r}": _set("micro_batch", value=value) for value in (0, -4, 10**30, "4", 2.5)},
    **{f"decay {value!r}": _set("decay", value=value) for value in ("x", [], {})},
    "no history": _set("history", value=[]),
    "history of numbers": _set("history", value=[1]),
    "a step is missing": _set("history", 0, value=...),
    "a step without loss": _set("history", 0, "loss", value=...),
    "a loss in words": _set("history", 0, "loss", value="low"),
    "an unknown event": _set("history", 0, "event", value="pause"),
    "a step that is another": _set("history", 0, "step", value=3),
    **{
        f"no {key} in settings": _set("settings", key, value=...)
        for key in ("config", "encoder", "data", "labels", "source")
    },
    **{f"{key} a number": _set("settings", key, value=1) for key in ("config", "encoder", "data", "labels", "source")},
    "data of numbers": _set("settings", "data", "train", value=1),
    "other data": _set("settings", "data", "train", "sha256", value="0" * 64),
    "a setting more": _set("settings", "config", "more", value=1),
    "weights: nothing": _bytes(lambda _: b""),
    "weights: no header": _bytes(lambda _: bytes(100)),
    "weights: a header of 2^63": _bytes(lambda content: b"\xff" * 7 + b"\x7f" + content[8:]),
    "weights: cut": _bytes(lambda content: content[: len(content) // 2]),
    "weights: huge shape": _bytes(lambda content: content.replace(b'"shape":[2,16]', b'"shape":[2,99]')),
    "weights: unknown type": _bytes(lambda content: content.replace(b'"F32"', b'"X32"', 1)),
    "weights: NaN": _tensor(HEAD, _with(float("nan"))),
    "weights: infinity": _tensor(HEAD, _with(float("inf"))),
    "moments: NaN": _tensor("adamw.second", _with(float("nan"))),
    "weights: one is missing": _tensor(HEAD, None),
    "weights: one more": _tensor("model.more", lambda _: torch.zeros(2)),
    "weights: another shape": _tensor(HEAD, lambda value: value.flatten()),
    "weights: another type": _tensor(HEAD, lambda value: value.half()),
    "moments: missing": _tensor("adamw.first", None),
    "moments: one more": _tensor("adamw.first", lambda value: torch.cat([value, value[:1]])),
    "rows: fewer": _tensor("rows", lambda value: value[1:].clone()),
    "best: one alone": _tensor("best.classifier.weight", lambda _: torch.zeros(2, 16)),
}
