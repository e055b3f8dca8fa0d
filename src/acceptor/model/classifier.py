"""An encoder with a classification head, as Transformers builds it, loaded quietly and strictly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from acceptor.errors import EncoderError
from acceptor.model.pretrained import Encoder
from acceptor.model.safety import read_config, weights_file

HEAD_NAMES = ("classifier", "score", "pooler", "pre_classifier", "head")


def new_classifier(encoder: Encoder, labels: Sequence[str], seed: int) -> Any:
    """The encoder's weights under a new head of ``len(labels)`` outputs, in fp32, on the CPU.

    Args:
        encoder: From `find_encoder`.
        labels: Label names in label-id order.
        seed: Decides the head's initial weights.

    Raises:
        EncoderError: The weights do not belong to the configuration.
    """
    import torch

    from acceptor.runtime import seed_everything

    seed_everything(seed)
    model, info = _load(
        encoder.folder,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        dtype=torch.float32,
        ignore_mismatched_sizes=True,  # a head of another task is replaced; anything else is refused below
    )
    lost = {*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])}
    lost = {name for name in lost if not any(part in HEAD_NAMES for part in name.split("."))}
    if lost:
        raise EncoderError(
            "the weights do not belong to this encoder",
            where=str(weights_file(encoder.folder)),
            expected=f"all weights of a {encoder.config['model_type']} encoder",
            found=f"{len(lost)} missing or of another size, such as {min(lost)}",
            cause="config.json and model.safetensors come from different models",
        )
    return model


def load_classifier(folder: Path) -> Any:
    """A fine-tuned classifier from a run folder, in fp32, ready to judge.

    Raises:
        EncoderError: The folder's config or weights are missing or do not fit each other.
    """
    import torch

    read_config(folder)
    weights_file(folder)
    model, info = _load(folder, dtype=torch.float32)
    if info["missing_keys"]:
        raise EncoderError(
            "the weights are not those of a fine-tuned judge",
            where=str(folder),
            found=f"{len(info['missing_keys'])} weights missing, such as {min(info['missing_keys'])}",
        )
    return model.eval()


def parameter_counts(model: Any) -> dict[str, int]:
    """Parameters in all, in the embeddings, in the layers above them, and in the head."""
    encoder = model.base_model
    counts = {
        "total": sum(p.numel() for p in model.parameters()),
        "embeddings": sum(p.numel() for name, p in encoder.named_parameters() if "embeddings" in name),
        "head": sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in encoder.parameters()),
    }
    counts["layers"] = counts["total"] - counts["embeddings"] - counts["head"]
    return counts


def _load(folder: Path, **options: Any) -> tuple[Any, dict[str, Any]]:
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoModelForSequenceClassification

    unreadable = (OSError, ValueError, RuntimeError, KeyError, TypeError, StrictDataclassError, SafetensorError)
    try:
        with quiet_transformers():
            model, info = AutoModelForSequenceClassification.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
    except unreadable as error:
        raise EncoderError(
            "the weights cannot be loaded",
            where=str(folder),
            cause=str(error).strip().split("\n")[0],
        ) from error
    return model, info


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without Transformers' reports and bars: a new head, say, is meant to be missing from the weights."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
