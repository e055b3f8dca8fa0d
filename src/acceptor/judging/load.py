"""`load`: a judge from a run folder, from a file that `export` wrote, or from somebody else's classifier."""

from __future__ import annotations

import dataclasses
import logging
import os
from pathlib import Path
from typing import Any

from acceptor.data.auditing.duplicates import HASHES_FILE, load_fingerprints
from acceptor.errors import RunError, UsageError, check_installed
from acceptor.judging.decision import MOST_PROBABLE, read_decision
from acceptor.judging.judge import JUDGE_FILE, PAIRS, SENTENCES, Judge
from acceptor.model.folder_kinds import labels_of_classifier, refuse_parts
from acceptor.model.onnx import read_onnx
from acceptor.model.safety import read_config, weights_file
from acceptor.model.tokenizer import VOCABULARIES, check_length, load_tokenizer
from acceptor.runtime.device import Runtime, choose_runtime, keep_freed_memory, runtime_without_torch
from acceptor.storage.files import MANIFEST, check_folder, check_manifest, file_sha256, read_object

logger = logging.getLogger(__name__)


def load(run: str | Path, *, device: str | None = None, precision: str | None = None) -> Judge:
    """The judge in a run folder, in evaluation mode; or the one in an ONNX file, which needs no torch.

    Args:
        run: The folder; or a file that `export` wrote, whose name ends in ``.onnx``; or a Hugging Face classifier of
            sentences, whose labels are those in its ``config.json``.
        device: ``cuda``, ``mps`` or ``cpu``; the fastest present where None.
        precision: ``fp32``; ``bf16``; ``int8``, where the CPU has AVX-512 VNNI: the fastest, and some labels change;
            ``lossless``, or None: bf16 where that is fast, and close calls again in fp32. An exported judge has one.

    Raises:
        RunError: The folder or file is missing, is not a finished run, or its files do not match their hashes.
        EncoderError: Its weights, config or tokenizer cannot be read.
        UsageError: The device or precision is not available; or its longest input leaves no room for text.
    """
    folder = run_path(run)
    if folder.suffix == ".onnx":
        return _load_onnx(folder, device, precision)
    check_installed("torch", "transformers")
    from acceptor.model.classifier import check_tokens, load_classifier, longest_input

    check_folder(folder)
    papers, needed = _papers(folder, run)
    if needed:
        check_manifest(folder, among=(*needed, "tokenizer", HASHES_FILE), needed=needed)
    runtime = choose_runtime(device, {"lossless": None, "int8": "fp32"}.get(precision or "", precision))
    keep_freed_memory()
    model, tokenizer = load_classifier(folder, papers["labels"]).to(runtime.device), load_tokenizer(folder)
    check_tokens(tokenizer, model)
    longest = longest_input(model.config, tokenizer)
    papers["max_length"] = papers["max_length"] or longest
    if papers["max_length"] > longest:
        raise RunError(
            f"{JUDGE_FILE} allows longer inputs than the encoder has positions for",
            where=str(folder / JUDGE_FILE),
            expected=f"max_length of at most {longest}",
            found=str(papers["max_length"]),
            code="E-RUN-FILE",
        )
    check_length(tokenizer, papers["max_length"], pairs=papers["inputs"] == PAIRS)
    if precision == "int8":
        runtime = _in_int8(runtime, model)
    lossless, trained_on = precision not in ("bf16", "int8"), load_fingerprints(folder)
    return Judge(model, tokenizer, runtime=runtime, lossless=lossless, trained_on=trained_on, **papers)


def run_path(run: Any) -> Path:
    """The path of a run folder or an exported file, as users give it.

    Raises:
        UsageError: It is no path.
    """
    if not isinstance(run, str | os.PathLike):
        raise UsageError(
            "a run is given by its folder",
            expected="a path",
            found=f"{type(run).__module__}.{type(run).__name__}",
            next="load(run.folder)" if hasattr(run, "folder") else 'load("runs/NAME")',
            code="E-USAGE-OPTION",
        )
    return Path(os.fsdecode(run)).expanduser()


def _papers(folder: Path, run: str | Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What is known of the judge in a folder, and which of its files have to be those that were written.

    A Hugging Face classifier that is no run has its labels in ``config.json``; its longest input is 0: unknown.
    """
    try:
        return _checked(read_object(folder / JUDGE_FILE)), (JUDGE_FILE, "config.json", "model.safetensors")
    except (FileNotFoundError, NotADirectoryError):
        if not (folder / "config.json").is_file() or any((folder / name).exists() for name in (MANIFEST, "run.json")):
            raise _no_run(folder, run) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{JUDGE_FILE} cannot be read", where=str(folder / JUDGE_FILE), cause=str(error), code="E-RUN-FILE"
        ) from error
    config = read_config(folder)
    labels = labels_of_classifier(folder, config)
    logger.warning(
        "%s is a Hugging Face classifier and no run: its labels are %s, as its config.json says; it has no threshold, "
        "and whether it was trained on single sentences or pairs is not known",
        run,
        ", ".join(labels[:8]) + (", …" if len(labels) > 8 else ""),
    )
    encoder = {
        "name": folder.name,
        "revision": None,
        "sha256": file_sha256(weights_file(folder)),
        "architecture": config["model_type"],
    }
    known = {"labels": labels, "max_length": 0, "encoder": encoder, "decision": MOST_PROBABLE}
    return known | {"selected_on": None, "inputs": None}, ()


def _no_run(folder: Path, run: str | Path) -> RunError:
    found = "no such folder" if not folder.is_dir() else "a folder without it"
    if folder.is_dir():
        refuse_parts(folder)
    return RunError(
        f"{run} is not a run",
        expected=f"a folder that holds {JUDGE_FILE}",
        found=found,
        cause="a wrong path, or a training that did not finish",
        next="list your runs: ls -d runs/*, or train one: acceptor train DATA --out RUN",
        code="E-RUN-MISSING",
    )


def _load_onnx(path: Path, device: str | None, precision: str | None) -> Judge:
    file = read_onnx(path)
    try:
        papers = _checked(file.about)
        made_in = {"fp32": "fp32", "int8": "int8"}[file.about["precision"]]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            "the file's description of its judge cannot be read", where=str(path), cause=str(error), code="E-RUN-FILE"
        ) from error
    if device not in (None, "cpu") or precision not in (None, made_in):
        raise UsageError(
            f"{path.name} computes in {made_in} on a CPU",
            found=f"device {device or 'not given'}, precision {precision or 'not given'}",
            next="leave --device and --precision out, or judge with the run that it was made from",
            code="E-USAGE-DEVICE",
        )
    check_length(file.tokenizer, papers["max_length"], pairs=papers["inputs"] == PAIRS)
    runtime = runtime_without_torch(made_in)
    return Judge(file.model, file.tokenizer, runtime=runtime, lossless=False, trained_on=file.trained_on, **papers)


def files_of(run: Path) -> dict[str, str]:
    """The files that decide about verdicts, with the sha256 of each.

    Args:
        run: As for `load`, which has read it before.
    """
    if run.suffix == ".onnx":
        return {"judge.onnx": file_sha256(run)}  # whatever it is called
    names = (JUDGE_FILE, "config.json", "model.safetensors", "tokenizer")
    if not (run / MANIFEST).exists():  # somebody else's classifier
        paths = [run / name for name in (*names[1:3], *VOCABULARIES, "tokenizer_config.json")]
        return {path.name: file_sha256(path) for path in paths if path.is_file()}
    files = read_object(run / MANIFEST)["files"]
    return {name: sha256 for name, sha256 in files.items() if name.startswith(names)}


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


def _checked(about: dict[str, Any]) -> dict[str, Any]:
    """The fields of `Judge` in an untrusted ``judge.json``."""
    labels, max_length, encoder = about["labels"], about["max_length"], about["encoder"]
    if not isinstance(labels, list) or len(labels) < 2 or not all(isinstance(label, str) for label in labels):
        raise ValueError("labels are not two names or more")
    if len(set(labels)) < len(labels):
        raise ValueError("a label appears twice")
    if type(max_length) is not int or max_length < 1:
        raise ValueError("max_length is not a number of tokens")
    if not isinstance(encoder, dict) or not isinstance(encoder.get("name"), str):
        raise ValueError("encoder has no name")
    selected_on, inputs = about.get("selected_on"), about.get("inputs")
    if selected_on is not None and not isinstance(selected_on, str):
        raise ValueError("selected_on is not a sha256")
    if inputs not in (None, SENTENCES, PAIRS):
        raise ValueError(f"inputs is neither {SENTENCES} nor {PAIRS}")
    written = about.get("written")
    if written is not None and not (
        isinstance(written, list) and len(written) == len(labels) and all(isinstance(one, str) for one in written)
    ):
        raise ValueError("written is not a word for each label")
    return {
        "labels": tuple(labels),
        "max_length": max_length,
        "encoder": encoder,
        "decision": read_decision(about, len(labels)),
        "selected_on": selected_on,
        "inputs": inputs,
        "written": None if written is None else tuple(written),
    }
