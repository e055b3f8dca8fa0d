"""Folders that Acceptor did not write: LoRA adapters, old layouts, Hugging Face classifiers and their labels."""

from __future__ import annotations

from pathlib import Path

from acceptor.errors import EncoderError, RunError
from acceptor.runs.judge_file import JUDGE_FILE, MEMBER, read_judge_file
from acceptor.storage.strict_json import read_json_object

ADAPTER, MODULES = "adapter_config.json", "modules.json"
MAX_COUNT = 512  # of layers, heads and groups, and of labels without names


def refuse_incomplete_model(folder: Path) -> None:
    """Refuses a folder that holds only a part of a model, or the model in a subfolder.

    Raises:
        EncoderError: It is a LoRA adapter or an ensemble, or has sentence-transformers' old layout.
    """
    whole = (folder / "config.json").is_file()
    if (folder / ADAPTER).is_file() and not (whole and (folder / "model.safetensors").is_file()):
        raise EncoderError(
            "this folder is a LoRA adapter, without its base model",
            where=str(folder / ADAPTER),
            expected="config.json, model.safetensors and the tokenizer's files",
            found=f"an adapter of {_base_of(folder)}",
            next="merge it where you made it: model.merge_and_unload().save_pretrained(FOLDER), the tokenizer too",
            code="E-ENCODER-FILE",
        )
    if whole:
        return
    if (folder / f"{MEMBER}1").is_dir():
        raise EncoderError(
            "this folder is an ensemble of several networks, not one encoder",
            where=str(folder),
            next="train from one of the runs that it was made of; its run.json names them",
            code="E-ENCODER-FILE",
        )
    inner = sorted(path.parent.name for path in folder.glob("*/config.json") if path.parent.name[:1].isdigit())
    inner = inner or sorted(path.parent.name for path in folder.glob("*/config.json") if (folder / MODULES).is_file())
    if inner:
        raise EncoderError(
            "this folder is not an encoder",
            where=str(folder),
            expected="config.json beside the weights",
            found=f"both in {inner[0]}, as in sentence-transformers' old layout",
            next=f"give that folder: --encoder {folder / inner[0]}",
            code="E-ENCODER-FILE",
        )


def _base_of(folder: Path) -> str:
    try:
        return str(read_json_object(folder / ADAPTER).get("base_model_name_or_path"))[:80]
    except (OSError, ValueError):
        return "a model that it does not name"


def labels_of(config: dict[str, object]) -> tuple[str, ...]:
    """The label names in a ``config.json``, in label-id order; Transformers omits two default names.

    Raises:
        ValueError: ``id2label`` does not name the classes 0, 1, …; or ``num_labels`` is no count.
    """
    named = config.get("id2label")
    if named is None:
        count = 2 if config.get("num_labels") is None else config["num_labels"]
        if type(count) is not int or not 0 < count <= MAX_COUNT:
            raise ValueError(f"num_labels is {str(count)[:40]!r}, not an integer in [1, {MAX_COUNT}]")
        return tuple(f"LABEL_{index}" for index in range(count))
    if not isinstance(named, dict) or sorted(named) != sorted(map(str, range(len(named)))):
        raise ValueError("id2label does not name the classes 0, 1, …")
    labels = tuple(named[str(index)] for index in range(len(named)))
    if not all(isinstance(label, str) and label.strip() for label in labels) or len(set(labels)) < len(labels):
        raise ValueError("id2label holds an empty name, a name twice, or another type")
    return labels


def head_labels(folder: Path, config: dict[str, object]) -> tuple[str, ...]:
    """The labels that a folder's head was trained for; a run has them in ``judge.json``.

    Raises:
        ValueError: They cannot be read.
    """
    if (folder / JUDGE_FILE).is_file():
        return tuple(read_judge_file(folder).labels)
    return labels_of(config)


def labels_of_classifier(folder: Path, config: dict[str, object]) -> tuple[str, ...]:
    """The labels of a Hugging Face classifier that Acceptor did not train.

    Raises:
        RunError: It is an encoder without a head, or a model for another task, or has fewer than two named labels.
    """
    named = config.get("architectures")
    classes = list(map(str, named)) if isinstance(named, list) else []
    next_step = f"train one from it: acceptor train DATA --encoder {folder} --out RUN"
    if not any(name.endswith("ForSequenceClassification") for name in classes):
        task = next((name for name in classes if "For" in name and not name.endswith(("MaskedLM", "PreTraining"))), "")
        raise RunError(
            f"this folder is a model for another task, not a judge: {task}"
            if task
            else "this is an encoder, not a judge",
            where=str(folder),
            expected="a run folder, or a Hugging Face classifier of sentences",
            found=", ".join(classes)[:80] or "a config.json that names no class",
            next=next_step,
            code="E-RUN-MODEL",
        )
    try:
        labels = labels_of(config)
        kind = str(config.get("problem_type") or "")
        if kind not in ("", "single_label_classification"):
            raise ValueError(f"problem_type is {kind}, not single_label_classification")
        if len(labels) < 2:
            raise ValueError("it has one output, as for regression")
    except ValueError as error:
        raise RunError(
            "this classifier cannot judge",
            where=str(folder / "config.json"),
            expected="two classes or more, each with a name",
            cause=str(error),
            next=next_step,
            code="E-RUN-MODEL",
        ) from error
    return labels
