"""`export`: a judge as one ONNX file, refused where it does not answer as the judge does."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import math
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.data.table import Split
from acceptor.data.writing.write import check_free
from acceptor.errors import ResourceError, RunError, UsageError, check_installed
from acceptor.evaluation.compare import Comparison, compare
from acceptor.evaluation.evaluate import evaluate
from acceptor.judging.judge import Judge
from acceptor.judging.load import load
from acceptor.model.batches import pad
from acceptor.model.encode import Encoded
from acceptor.model.onnx import INPUTS, LOGITS, MAX_BYTES, seal
from acceptor.model.tokenizer import reading
from acceptor.runtime.device import versions
from acceptor.storage.files import SCRATCH, file_sha256, flush, one_writer, says_full, use_umask, writable, write_json

PRECISIONS = ("fp32", "int8")
CLOSE = 1e-4  # what a logit may change in fp32
CHANCE = 0.05  # an MCC that falls so much that chance rarely would is refused
SHAPES = ((1, 1), (1, 2), (2, 9), (7, 17), (64, 11), (64, 64), (8, 128), (2, 512))
"""Batches on which every export is tried: rows and the longest of them in tokens, cut at the judge's longest input."""


@dataclass(frozen=True)
class Export:
    """A judge's ONNX file, and how its answers differ from the judge's own.

    Attributes:
        path: The file. ``PATH.json`` beside it, the manifest, says what stands here.
        precision: ``fp32`` or ``int8``.
        bytes: Its size.
        sha256: Of the whole file.
        inputs: On how many inputs the logits were compared: made-up ones of all shapes, and those of ``verify``.
        largest_change: The largest difference of a logit on any of them.
        flips: How many verdicts on ``verify`` differ; None without one.
        comparison: MCC of the file against the judge's on ``verify``, paired; None without one.
    """

    path: Path
    precision: str
    bytes: int
    sha256: str
    inputs: int
    largest_change: float
    flips: int | None = None
    comparison: Comparison | None = None

    def __repr__(self) -> str:
        return f"Export({self.path} · {self.precision}, {self.bytes / 1e6:.1f} MB · logits ± {self.largest_change:.1g})"

    def to_dict(self) -> dict[str, Any]:
        """All fields, and the versions it was made with."""
        content = {**vars(self), "path": str(self.path), "versions": versions()}
        return content | {"comparison": self.comparison.to_dict() if self.comparison else None}


def export(
    judge: Judge, out: str | Path, *, precision: str = "fp32", verify: Split | None = None, overwrite: bool = False
) -> Export:
    """Writes the judge as one ONNX file with tokenizer, labels, temperature and threshold, once its answers are right.

    Args:
        judge: One in a run folder, loaded on the CPU.
        out: The file to be; its name ends in ``.onnx``.
        precision: ``fp32``; or ``int8``: weights in 8 bits, activations too (see `model.quantised`). It needs
            ``verify``.
        verify: Labelled sentences that no checkpoint was chosen on, to compare verdicts on.
        overwrite: Replace what stands at ``out``.

    Raises:
        UsageError: ``out`` is taken or named otherwise, no such precision, int8 without ``verify``, a judge on a GPU
            or of more than 2 GiB, or the extra ``onnx`` is not installed.
        RunError: torch cannot export it; a logit in fp32 differs by more than 1e-4; or the MCC of int8 is not defined,
            or falls and chance would rarely (p < .05) make it fall as far. Nothing is written then. Or another process
            is writing ``out``.
        ResourceError: The disk is full, or ``out`` cannot be written.
    """
    out = Path(out).expanduser()
    _check(judge, out, precision, verify, overwrite)
    about = judge.about() | {
        "precision": precision,
        "pad_token_id": judge.tokenizer.pad_token_id,
        "mask_token_id": judge.tokenizer.mask_token_id,
        "model_input_names": list(judge.tokenizer.model_input_names),
    }
    backend = reading(judge.tokenizer).backend
    with _scratch(out) as scratch:
        network = _network(judge)
        if precision == "int8":
            from acceptor.exporting.quantize import quantised

            network = quantised(network)
        scratch.write_bytes(seal(network, about, backend.to_str(), judge.trained_on))
        found = _compared(judge, load(scratch), out, verify)
        _refuse(found)
        write_json(_manifest(scratch), found.to_dict())
        use_umask(scratch.parent)
        for path in (scratch, _manifest(scratch)):
            flush(path)
        _manifest(out).unlink(missing_ok=True)  # killed here, or below, it leaves none rather than one of another file
        scratch.replace(out)
        _manifest(scratch).replace(_manifest(out))
        flush(out.parent)
    return found


def _manifest(file: Path) -> Path:
    return file.with_name(file.name + ".json")


def _check(judge: Judge, out: Path, precision: str, verify: Split | None, overwrite: bool) -> None:
    if out.suffix != ".onnx":
        raise UsageError(
            f"{out} does not end in .onnx",
            expected="a name such as judge.onnx",
            found=out.name,
            code="E-USAGE-OUTPUT",
        )
    if precision not in PRECISIONS:
        raise UsageError(
            f"no precision of an export is called {precision!r}",
            expected=" or ".join(PRECISIONS),
            code="E-USAGE-OPTION",
        )
    if precision == "int8" and verify is None:
        raise UsageError(
            "int8 changes logits, and nothing was given to see what that costs",
            expected="labelled sentences",
            next="acceptor export RUN -o FILE --precision int8 --verify DATA",
            code="E-USAGE-OPTION",
        )
    if judge.runtime.device != "cpu" or not hasattr(judge.model, "state_dict"):
        raise UsageError(
            "only a judge in a run folder, loaded on the CPU, is exported",
            found=repr(judge),
            next='load("RUN", device="cpu")',
            code="E-USAGE-JUDGE",
        )
    _check_place(out, overwrite)
    size = sum(weights.nbytes for weights in judge.model.parameters())
    if size > MAX_BYTES:
        raise UsageError(
            "the network is too large for an ONNX file",
            expected=f"weights of at most {MAX_BYTES:,} bytes in fp32",
            found=f"{size:,} bytes",
            code="E-USAGE-JUDGE",
        )
    check_installed("onnx", "onnxruntime", "onnxscript")


def _check_place(out: Path, overwrite: bool) -> None:
    with writable(out):
        for path in (out, _manifest(out)):
            check_free(path, overwrite=overwrite)
            if path.is_dir():
                raise UsageError(
                    f"{path} is a folder",
                    expected="a file, or a path that is free",
                    code="E-USAGE-OUTPUT",
                )
        out.parent.stat()  # `one_writer` would make it


# ── the network ──────────────────────────────────────────────────────────────────────────────────────────


def _network(judge: Judge) -> bytes:
    """The classifier as an ONNX model in fp32, for any number of rows of any length."""
    import torch

    model = judge.model
    types = INPUTS[2] in judge.tokenizer.model_input_names and INPUTS[2] in inspect.signature(model.forward).parameters
    names = INPUTS if types else INPUTS[:2]

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            return model(**dict(zip(names, inputs, strict=True))).logits  # type: ignore[no-any-return]

    example = (2, min(8, judge.max_length))  # another number would be taken for a rule: 1 for broadcasting
    rows, length = torch.export.Dim("rows", min=1), torch.export.Dim("length", min=2, max=judge.max_length)
    inputs = tuple((torch.zeros if name == INPUTS[2] else torch.ones)(example, dtype=torch.int64) for name in names)
    try:
        with _silence(), torch.no_grad():
            program = torch.onnx.export(
                Logits().eval(),
                inputs,
                input_names=names,
                output_names=[LOGITS],
                dynamic_shapes=(tuple({0: rows, 1: length} for _ in names),),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise RunError(
            "torch cannot export this network; nothing was written",
            cause=str(error.__cause__ or error).strip().split("\n")[0][:300],
            next="try the versions in constraints.txt",
            code="E-RUN-EXPORT",
        ) from error
    assert program is not None  # noqa: S101 - None comes from the older exporter alone
    proto = program.model_proto  # a new one each time
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]  # where each comes from: lines of files on this machine
    return proto.SerializeToString()  # type: ignore[no-any-return]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Without what the exporter says of packages that it does not need, and of its own later versions."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


# ── the gate ─────────────────────────────────────────────────────────────────────────────────────────────


def _compared(judge: Judge, other: Judge, out: Path, verify: Split | None) -> Export:
    """What differs between Transformers' own network in fp32 and the file."""
    plain = replace(judge, runtime=replace(judge.runtime, precision="plain"), lossless=False)
    precision, where = other.runtime.precision, Path(other.model.where)
    scorers = plain.scorer("plain"), other.scorer(precision)
    inputs, largest = 0, 0.0
    for rows, longest in SHAPES:
        made_up = _made_up(judge, rows, min(longest, judge.max_length), types=INPUTS[2] in other.model.inputs)
        batch = pad(made_up, np.arange(rows), judge.tokenizer.pad_token_id)
        ours, theirs = (scorer.score(batch) for scorer in scorers)
        inputs, largest = inputs + rows, max(largest, _change(ours, theirs))
    found = Export(out, precision, where.stat().st_size, file_sha256(where), inputs, largest)
    if verify is None:
        return found
    before, after = evaluate(plain, verify), evaluate(other, verify)
    largest = max(largest, _change(before.logits, after.logits))
    [comparison] = compare(before, after)
    flips = int((before.predicted != after.predicted).sum())
    comparison = replace(comparison, base="the run", name=out.name)
    return replace(found, inputs=inputs + len(verify), largest_change=largest, flips=flips, comparison=comparison)


def _made_up(judge: Judge, rows: int, longest: int, *, types: bool) -> Encoded:
    """Inputs of random words, the first of them the longest; each with a second part where there are types."""
    rng = np.random.default_rng([rows, longest])
    known = judge.tokenizer.backend_tokenizer.get_vocab().values()
    words = sorted({*known} - {judge.tokenizer.pad_token_id})
    lengths = np.concatenate([[longest], rng.integers(1, longest + 1, rows - 1)])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    second = np.concatenate([np.arange(length) * 2 >= length for length in lengths]).astype(np.int8)
    ids = rng.choice(words, int(offsets[-1])).astype(np.int32)
    return Encoded(ids, second if types else None, offsets, np.zeros(rows, np.int32))


def _change(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> float:
    finite = np.isfinite(ours).all() and np.isfinite(theirs).all()
    return float(np.abs(ours - theirs).max()) if finite else math.inf


def _refuse(found: Export) -> None:
    """The gate.

    Raises:
        RunError: The file's answers are not the judge's.
    """
    fp32, one = found.precision == "fp32", found.comparison
    if found.largest_change > CLOSE if fp32 else math.isinf(found.largest_change):
        raise RunError(
            "the exported network does not compute what the judge computes; nothing was written",
            expected=f"logits within {CLOSE:g}" if fp32 else "finite logits",
            found=f"{found.largest_change:.3g} on {found.inputs} inputs",
            cause="this version of torch or ONNX Runtime exports or computes this architecture wrongly",
            next="try the versions in constraints.txt",
            code="E-RUN-EXPORT",
        )
    if not fp32 and one and math.isnan(one.difference):
        raise RunError(
            "MCC is not defined here, so what int8 costs cannot be told; nothing was written",
            found=f"{found.flips} of {one.n} verdicts flipped",
            cause="gold labels, or verdicts, that are all alike",
            next="--verify sentences of all labels, on which the run gives all verdicts; or leave --precision int8 out",
            code="E-RUN-EXPORT",
        )
    if not fp32 and one and not (one.difference >= 0 or one.p >= CHANCE):
        fall = f"{one.difference:+.3f} {one.interval or ''}, p {one.p:.3g}"
        raise RunError(
            "int8 judges worse, by more than chance explains; nothing was written",
            expected=f"an MCC that does not fall, or by so little that p ≥ {CHANCE}",
            found=f"{fall}; {found.flips} of {one.n} verdicts flipped",
            next="leave --precision int8 out",
            code="E-RUN-EXPORT",
        )


@contextlib.contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """The path of a file to become ``out``, in a folder beside it that vanishes; a killed export's with the next one.

    Raises:
        ResourceError: The disk is full, or the place cannot be written.
        RunError: Another process is writing it.
    """
    with one_writer(out):
        with writable(out):
            folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=SCRATCH))
        try:
            yield folder / out.name
        except OSError as error:
            if says_full(error):
                raise ResourceError(
                    f"the disk is full: no room for {out.name}",
                    where=str(out.parent),
                    code="E-RESOURCE-DISK",
                ) from error
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
