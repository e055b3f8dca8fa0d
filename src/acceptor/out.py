"""Where a run goes: a path that is free, on a disk with room; checked before any work is done."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

from acceptor.environment import whole_number
from acceptor.errors import ResourceError, UsageError
from acceptor.files import MANIFEST, SCRATCH, writable
from acceptor.training.checkpoint import FOLDER, has_checkpoint

SLACK_BYTES = 32 << 20  # everything in a run folder but weights


def default_out(source: str, encoder: str, *, resume: bool) -> Path:
    """The first free path among ``runs/SOURCE-ENCODER``, ``runs/SOURCE-ENCODER-2`` and so on.

    To resume, it is the last path that is taken, if that training can go on.
    """
    name = _name(source, encoder)
    last = free = Path("runs") / name
    for number in itertools.count(2):
        if not free.exists():
            break
        last, free = free, Path("runs") / f"{name}-{number}"
    return last if (resume or restarted()) and has_checkpoint(last) else free


def default_set(source: str, encoder: str, kind: str) -> Path:
    """``runs/SOURCE-ENCODER-KIND``, for several trainings: the same command goes on in the same place."""
    return Path("runs") / f"{_name(source, encoder)}-{kind}"


def _name(source: str, encoder: str) -> str:
    parts = [part for part in Path(source).absolute().parts if part not in ("raw", "tokenized")]
    return f"{parts[-1].split('.')[0]}-{Path(encoder).name}"


def restarted() -> bool:
    """True where ``torchrun`` repeats the command after one of its processes failed."""
    return whole_number("TORCHELASTIC_RESTART_COUNT", 0) > 0


def is_run(path: Path) -> bool:
    """True for the folder of a run, begun or finished, as opposed to a folder of data."""
    return (path / FOLDER).is_dir() or (path / "run.json").is_file()


def check_out(out: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuses an output path that is taken.

    Raises:
        UsageError: Something stands at ``out`` and may be neither replaced nor resumed.
        ResourceError: We may not even look at ``out``.
    """
    if overwrite and resume:
        raise UsageError("--overwrite and --resume exclude each other", next="give one of them")
    with writable(out):
        if not out.exists() and not out.is_symlink():
            return
        finished, begun = (out / MANIFEST).is_file(), has_checkpoint(out)
        unsaved = not finished and not begun and _killed_in_its_first_save(out)
    if unsaved and not resume:
        return
    if not finished and not begun and not unsaved:
        raise UsageError(
            f"{out} exists and is not a run",
            expected="a path that is free",
            cause="overwriting would delete files that Acceptor did not write",
            next="choose another: --out PATH",
        )
    if finished and resume:
        raise UsageError(f"{out} is finished", next=f"look at it: {out / 'README.md'}; or train anew: --overwrite")
    if not overwrite and not resume:
        ways = "replace it: --overwrite" if finished else "go on with it: --resume, or begin again: --overwrite"
        raise UsageError(
            f"{out} exists: " + ("a finished run" if finished else "a training that was stopped"),
            expected="a path that is free",
            next=f"choose another path: --out PATH\n{ways}",
        )


def _killed_in_its_first_save(out: Path) -> bool:
    """True where nothing but the beginning of a checkpoint is in a folder, if anything: there is nothing to lose."""
    within = set(out.iterdir()) if out.is_dir() else {out}
    begun = (out / FOLDER).iterdir() if (out / FOLDER).is_dir() else iter(())
    return within <= {out / FOLDER} and all(path.name.endswith(SCRATCH) for path in begun)


def check_room(out: Path, weight_bytes: int, *, keeps_best: bool = False, overwrite: bool = False) -> None:
    """Refuses to start where the run and its checkpoints would not fit on the disk.

    Args:
        out: The run folder to be.
        weight_bytes: Size of the weights. A checkpoint holds them and two moments; three may exist at once.
        keeps_best: It also holds the best epoch's weights.
        overwrite: What stands at ``out`` will make room.

    Raises:
        ResourceError: Too little room, with the bytes needed and free.
    """
    place = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if overwrite and out.is_dir():
        free += sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    needed = (3 * (3 + keeps_best) + 1) * weight_bytes + SLACK_BYTES
    if free < needed:
        raise ResourceError(
            "the disk has no room for this run and its checkpoints",
            where=str(place),
            expected=f"{needed / 1e6:,.0f} MB",
            found=f"{free / 1e6:,.0f} MB free",
            next="free some, or write to another disk: --out PATH",
        )
