"""`export`: writes a judge as an ONNX file or a Hugging Face folder; refuses if logits differ from the run's."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from acceptor.data.table import Split
from acceptor.data.writing.write import check_free
from acceptor.errors import RunError, UsageError, check_installed, checked_types
from acceptor.exporting.verify import Export, compare_export, in_plain_fp32, input_names, refuse_difference
from acceptor.judging.judge import Judge, check_new_folder
from acceptor.judging.load import load
from acceptor.model.onnx import INPUTS, LOGITS, MAX_BYTES, seal
from acceptor.model.safety import weights_file
from acceptor.model.tokenizer import tokenizer_info
from acceptor.runs.export_file import export_file_of, write_export_file
from acceptor.runs.judge_file import ExportedJudgeFile, exported_judge_text
from acceptor.storage.files import (
    SCRATCH,
    explain_full_disk,
    explain_write_errors,
    fsync,
    new_folder,
    use_umask,
    user_path,
)
from acceptor.storage.lock import one_writer

logger = logging.getLogger(__name__)

PRECISIONS = ("fp32", "int8")


@checked_types
def export(
    judge: Judge,
    out: str | Path,
    *,
    precision: str = "fp32",
    bake: bool = False,
    verify: Split | None = None,
    overwrite: bool = False,
) -> Export:
    """Writes the judge as one ONNX file or a Hugging Face folder, with tokenizer, labels, temperature and threshold.

    It is compared with the judge first, and refused if a logit in fp32 differs by more than 1e-4.

    Args:
        judge: A judge from a run folder, loaded on the CPU.
        out: The file to write, whose name ends in ``.onnx``; or a folder, which must not exist or be empty: a name
            without a dot, or one that ends in ``/``.
        precision: ``fp32``; or ``int8``: weights in 8 bits, activations too (see `exporting.quantize`). It needs
            ``verify``.
        bake: Write temperature and threshold into the weights of the head, for programs that know only the argmax. The
            verdicts stay the same; a threshold moves the probabilities, so that 1/2 is where it was.
        verify: Labelled sentences to compare verdicts on. No checkpoint should have been chosen on them.
        overwrite: Replace an existing file at ``out``; a folder is never replaced.

    Raises:
        UsageError: ``out`` exists, or is neither a file nor a folder by its name; unknown precision, int8 without
            ``verify``, or int8 or ``overwrite`` for a folder; the judge is on a GPU or, for a file, larger than 2 GiB;
            ``bake`` does not know its head; or the extra ``onnx`` is not installed.
        RunError: torch cannot export it; a logit in fp32 differs by more than 1e-4; or the MCC of int8 is not defined,
            or is lower with p < .05. Nothing is written then. Or another process is writing ``out``.
        ResourceError: The disk is full, or ``out`` cannot be written.
    """
    suffix = Path(out).suffix
    folder = suffix == "" or (suffix != ".onnx" and str(out).endswith("/"))
    out = user_path(out)
    _check(judge, precision, verify)
    if folder:
        _check_folder(judge, out, precision, overwrite)
    else:
        _check_file(judge, out, overwrite)
    given = judge.with_baked_decision() if bake else judge
    if bake and given.decision == judge.decision:
        logger.warning("nothing to bake: this judge has neither a temperature nor a threshold")
    return _write_folder(judge, given, out, verify) if folder else _write_file(judge, given, out, precision, verify)


def _write_folder(judge: Judge, given: Judge, out: Path, verify: Split | None) -> Export:
    """Writes ``given``: the judge, or the same with a baked decision."""
    from acceptor.model.classifier import load_classifier

    with new_folder(out) as scratch:
        tokenizer = copy.deepcopy(given.tokenizer)
        tokenizer.model_max_length = given.max_length  # where other programs cut
        dataclasses.replace(given, tokenizer=tokenizer).write_files(scratch)
        written = dataclasses.replace(in_plain_fp32(given), model=load_classifier(scratch, given.labels))
        found = compare_export(judge, written, out, weights_file(scratch), verify)
        refuse_difference(found)
    return found


def _write_file(judge: Judge, given: Judge, out: Path, precision: str, verify: Split | None) -> Export:
    """Writes ``given``: the judge, or the same with a baked decision."""
    file = ExportedJudgeFile.new(
        given.about()
        | {
            "precision": precision,
            "pad_token_id": judge.tokenizer.pad_token_id,
            "mask_token_id": judge.tokenizer.mask_token_id,
            "model_input_names": list(judge.tokenizer.model_input_names),
        }
    )
    backend = tokenizer_info(judge.tokenizer).backend
    with _scratch(out) as scratch:
        network = _network(given)
        if precision == "int8":
            from acceptor.exporting.quantize import quantize

            network = quantize(network)
        scratch.write_bytes(seal(network, exported_judge_text(file), backend.to_str(), judge.trained_on))
        found = compare_export(judge, load(scratch), out, scratch, verify)
        refuse_difference(found)
        write_export_file(scratch, found.to_dict())
        use_umask(scratch.parent)
        for path in (scratch, export_file_of(scratch)):
            fsync(path)
        export_file_of(out).unlink(missing_ok=True)  # a kill from here on leaves no manifest of another file
        scratch.replace(out)
        export_file_of(scratch).replace(export_file_of(out))
        fsync(out.parent)
    return found


def _check(judge: Judge, precision: str, verify: Split | None) -> None:
    if precision not in PRECISIONS:
        raise UsageError(
            f"no precision of an export is called {precision!r}",
            expected=" or ".join(PRECISIONS),
            code="E-USAGE-OPTION",
        )
    if precision == "int8" and verify is None:
        raise UsageError(
            "int8 changes logits, and no labelled sentences were given to compare verdicts on",
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


def _check_folder(judge: Judge, out: Path, precision: str, overwrite: bool) -> None:
    from acceptor.model.ensemble import Ensemble

    if isinstance(judge.model, Ensemble):
        raise UsageError(
            "an ensemble is no folder for Transformers, which loads one network",
            expected="a file: -o FILE.onnx",
            found=str(out),
            next="export it as a file, or one of the runs that it was made of as a folder",
            code="E-USAGE-JUDGE",
        )
    for given, option in ((precision != "fp32", f"--precision {precision}"), (overwrite, "--overwrite")):
        if given:
            raise UsageError(
                f"{option} is for a file",
                expected="-o FILE.onnx",
                found=f"the folder {out}",
                next=f"leave {option} out",
                code="E-USAGE-CONFLICT",
            )
    check_new_folder(out)


def _check_file(judge: Judge, out: Path, overwrite: bool) -> None:
    if out.suffix != ".onnx":
        raise UsageError(
            f"the name {out.name} does not say what to write",
            expected="a file such as judge.onnx, or a folder such as judge/; on the command line also a page such as "
            "judge.html",
            found=out.name,
            code="E-USAGE-OUTPUT",
        )
    check_place(out, export_file_of(out), overwrite=overwrite)
    size = sum(weights.nbytes for weights in judge.model.parameters())
    if size > MAX_BYTES:
        raise UsageError(
            "the network is too large for an ONNX file",
            expected=f"weights of at most {MAX_BYTES:,} bytes in fp32",
            found=f"{size:,} bytes",
            code="E-USAGE-JUDGE",
        )
    check_installed("onnx", "onnxruntime", "onnxscript")


def check_place(out: Path, *beside: Path, overwrite: bool) -> None:
    """Refuses files that cannot be written: ``out``, and those ``beside`` it.

    Raises:
        UsageError: One is a folder, or exists and ``overwrite`` is False.
        ResourceError: The folder that they would be in cannot be read, or does not exist.
    """
    with explain_write_errors(out):
        for path in (out, *beside):
            check_free(path, overwrite=overwrite)
            if path.is_dir():
                raise UsageError(
                    f"{path} is a folder",
                    expected="a file, or a path that does not exist",
                    code="E-USAGE-OUTPUT",
                )
        out.parent.stat()  # `one_writer` would create it


# ── the network ──────────────────────────────────────────────────────────────────────────────────────────


def _network(judge: Judge) -> bytes:
    """The classifier as an ONNX model in fp32, for any number of rows of any length."""
    import torch

    model, names = judge.model, input_names(judge)

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            return model(**dict(zip(names, inputs, strict=True))).logits  # type: ignore[no-any-return]

    example = (2, min(8, judge.max_length))  # with 1 row the exporter would assume broadcasting
    rows, length = torch.export.Dim("rows", min=1), torch.export.Dim("length", min=2, max=judge.max_length)
    inputs = tuple((torch.zeros if name == INPUTS[2] else torch.ones)(example, dtype=torch.int64) for name in names)
    try:
        with _quiet_exporter(), torch.no_grad():
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
    assert program is not None  # noqa: S101 - only the older exporter returns None
    proto = program.model_proto  # a new object at each access
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]  # source files and lines on this machine
    return proto.SerializeToString()  # type: ignore[no-any-return]


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Hides the exporter's warnings about optional packages and deprecations."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


@contextlib.contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """Yields a temporary path for ``out``, in a scratch folder beside it that is removed at the end.

    The scratch folder of a killed export is removed by the next one.

    Raises:
        ResourceError: The disk is full, or the folder is not writable.
        RunError: Another process is writing ``out``.
    """
    with one_writer(out), explain_full_disk(out):
        with explain_write_errors(out):
            folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=SCRATCH))
        try:
            yield folder / out.name
        finally:
            shutil.rmtree(folder, ignore_errors=True)
