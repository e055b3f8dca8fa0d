"""`load`: a judge from a run folder, from a file that `export` wrote, or from any Hugging Face classifier."""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from acceptor.errors import RunError, UsageError, check_installed, checked_types
from acceptor.judging.decision import Decision
from acceptor.judging.judge import PAIRS, Judge
from acceptor.model.model_folder import labels_of_classifier, refuse_incomplete_model
from acceptor.model.onnx import read_onnx
from acceptor.model.safety import read_config, weights_file
from acceptor.model.tokenizer import VOCABULARIES, check_length, load_tokenizer
from acceptor.runs.checkpoint import has_checkpoint
from acceptor.runs.fingerprints import read_fingerprints
from acceptor.runs.folder import (
    JUDGE_PARTS,
    WEIGHTS,
    check_judge,
    has_run_parts,
    is_finished,
    missing_run,
    read_manifest,
)
from acceptor.runs.judge_file import JUDGE_FILE, JudgeFile, member_folders, read_judge_file
from acceptor.runtime.device import Runtime, choose_runtime, keep_freed_memory, runtime_without_torch
from acceptor.storage.files import user_path
from acceptor.storage.links import check_links
from acceptor.storage.manifest import file_sha256

logger = logging.getLogger(__name__)


@checked_types
def load(run: str | Path, *, device: str | None = None, precision: str | None = None) -> Judge:
    """The judge in a run folder, in evaluation mode; or the one in an ONNX file, which needs no torch.

    Args:
        run: The folder; or a file that `export` wrote, whose name ends in ``.onnx``; or a Hugging Face classifier of
            sentences, whose labels are those in its ``config.json``.
        device: ``cuda``, ``mps`` or ``cpu``; by default the fastest one present.
        precision: ``fp32``; ``bf16``; ``int8``, if the CPU has AVX-512 VNNI: the fastest, but some labels change;
            ``lossless``, or None: bf16 if that is fast, with close calls again in fp32. An exported judge has only one.

    Raises:
        RunError: The folder or file is missing, is not a finished run, or its files do not match their hashes.
        EncoderError: Its weights, config or tokenizer cannot be read.
        UsageError: The device or precision is not available; or its longest input leaves no room for text.
    """
    folder = run_path(run)
    if folder.suffix == ".onnx":
        return _load_onnx(folder, device, precision)
    check_installed("torch", "transformers")
    from acceptor.model.classifier import longest_input
    from acceptor.model.ensemble import members_of

    check_links(folder)
    file = read_judge_file(folder) if os.path.lexists(folder / JUDGE_FILE) else None
    if file:
        check_judge(folder, file.members)
    labels = tuple(file.labels) if file else _labels_of_classifier(folder, run)
    runtime = choose_runtime(device, {"lossless": None, "int8": "fp32"}.get(precision or "", precision))
    keep_freed_memory()
    tokenizer = load_tokenizer(folder)
    model = _model(member_folders(folder, file.members if file else None), labels, tokenizer).to(runtime.device)
    longest = min(longest_input(one.config, tokenizer) for one in members_of(model))
    file = file or _judge_file_of_classifier(folder, labels, longest)
    if file.max_length > longest:
        raise RunError(
            f"{JUDGE_FILE} allows longer inputs than the encoder has positions for",
            where=str(folder / JUDGE_FILE),
            expected=f"max_length of at most {longest}",
            found=str(file.max_length),
            code="E-RUN-FILE",
        )
    check_length(tokenizer, file.max_length, pairs=file.inputs == PAIRS)
    if precision == "int8":
        runtime = _in_int8(runtime, model)
    lossless = precision not in ("bf16", "int8")
    return _judge(file, model, tokenizer, runtime, lossless=lossless, trained_on=read_fingerprints(folder))


def _model(folders: Sequence[Path], labels: tuple[str, ...], tokenizer: Any) -> Any:
    """The classifier in a folder, or an ensemble of those in several, on the CPU."""
    from acceptor.model.classifier import check_tokens, load_classifier
    from acceptor.model.ensemble import Ensemble

    models = [load_classifier(folder, labels) for folder in folders]
    for model in models:
        check_tokens(tokenizer, model)
    return models[0] if len(models) == 1 else Ensemble(models).eval()


def run_path(run: Any) -> Path:
    """The path of a run folder or an exported file, as users give it.

    Raises:
        UsageError: It is the address of a server.
        RunError: No file system has such a path: a NUL character, or a name that is too long.
    """
    path = os.fsdecode(run)
    if path.startswith(("http:/", "https:/")):  # as a path it has one slash
        raise UsageError(
            "a server is not a run",
            expected="a run folder, or an exported judge: FILE.onnx",
            found=path[:200],
            next="ask it: acceptor judge, acceptor compare; in Python: acceptor.Client(url)",
            code="E-USAGE-ADDRESS",
        )
    place = user_path(path)
    try:
        os.lstat(place)
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno == errno.ENAMETOOLONG:
            raise RunError(
                "no run can be at such a path",
                where=path[:200],
                expected="a run folder, or an exported judge: FILE.onnx",
                cause=error.strerror if isinstance(error, OSError) else str(error),
                code="E-RUN-MISSING",
            ) from None
    return place


def _judge(
    file: JudgeFile,
    model: Any,
    tokenizer: Any,
    runtime: Runtime,
    *,
    lossless: bool,
    trained_on: npt.NDArray[np.uint64] | None,
) -> Judge:
    return Judge(
        model,
        tokenizer,
        tuple(file.labels),
        file.max_length,
        runtime,
        file.encoder.to_dict(),
        lossless,
        Decision(file.temperature, file.threshold),
        trained_on,
        file.selected_on,
        file.inputs,
        None if file.written is None else tuple(file.written),
        None if file.baked is None else Decision(file.baked.temperature, file.baked.threshold),
    )


def _labels_of_classifier(folder: Path, run: str | Path) -> tuple[str, ...]:
    """The labels of a Hugging Face classifier that Acceptor did not train, from its ``config.json``."""
    if not (folder / "config.json").is_file() or has_run_parts(folder):
        raise _no_run(folder)
    labels = labels_of_classifier(folder, read_config(folder))
    logger.warning(
        "%s is a Hugging Face classifier and no run: its labels are %s, by its config.json; it has no threshold, "
        "and whether it was trained on single sentences or pairs is not known",
        run,
        ", ".join(labels[:8]) + (", …" if len(labels) > 8 else ""),
    )
    return labels


def _judge_file_of_classifier(folder: Path, labels: tuple[str, ...], longest: int) -> JudgeFile:
    """The ``judge.json`` of a classifier that Acceptor did not train."""
    encoder = {
        "name": folder.name,
        "revision": None,
        "sha256": file_sha256(weights_file(folder)),
        "architecture": read_config(folder)["model_type"],
    }
    return JudgeFile.new({"labels": list(labels), "max_length": longest, "encoder": encoder})


def _no_run(folder: Path) -> RunError:
    if folder.is_dir() and not has_checkpoint(folder):
        refuse_incomplete_model(folder)
    return missing_run(folder, f"a folder that holds {JUDGE_FILE}")


def _load_onnx(path: Path, device: str | None, precision: str | None) -> Judge:
    found = read_onnx(path)
    file = found.judge
    if device not in (None, "cpu") or precision not in (None, file.precision):
        raise UsageError(
            f"{path.name} computes in {file.precision} on a CPU",
            found=f"device {device or 'not given'}, precision {precision or 'not given'}",
            next="leave --device and --precision out, or judge with the run that it was made from",
            code="E-USAGE-DEVICE",
        )
    check_length(found.tokenizer, file.max_length, pairs=file.inputs == PAIRS)
    runtime = runtime_without_torch(file.precision)
    return _judge(file, found.model, found.tokenizer, runtime, lossless=False, trained_on=found.trained_on)


def files_of(run: Path) -> dict[str, str]:
    """The files that determine verdicts, with the sha256 of each.

    Args:
        run: As for `load`, which has read it before.
    """
    if run.suffix == ".onnx":
        return {"judge.onnx": file_sha256(run)}  # under the same name for every file
    if not is_finished(run):  # a classifier that Acceptor did not train
        paths = [run / name for name in (*WEIGHTS, *VOCABULARIES, "tokenizer_config.json")]
        return {path.name: file_sha256(path) for path in paths if path.is_file()}
    return {name: sha256 for name, sha256 in read_manifest(run).files.items() if name.startswith(JUDGE_PARTS)}


def _in_int8(runtime: Runtime, model: Any) -> Runtime:
    from acceptor.model.network import has_whole_layers

    if not has_whole_layers(model, "int8"):
        raise UsageError(
            "int8 is not supported here",
            expected="a CPU with AVX-512 VNNI, a C compiler, and an encoder such as BERT, RoBERTa, MPNet or DistilBERT",
            found=f"{model.config.model_type} on {runtime.device}, {runtime.device_name}",
            next="leave --precision out; `acceptor doctor` shows what this machine supports",
            code="E-USAGE-DEVICE",
        )
    return dataclasses.replace(runtime, precision="int8")
