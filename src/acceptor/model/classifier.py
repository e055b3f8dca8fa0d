"""An encoder with a classification head, built by Transformers and loaded strictly."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from acceptor.errors import EncoderError, UsageError
from acceptor.model.model_folder import head_labels
from acceptor.model.pretrained import Encoder
from acceptor.model.safety import NEW_PARAMETERS, model_config, read_weights, weight_count, weights_file

NEW_PARTS = ("classifier", "score", "pooler", "pre_classifier", "head")


def new_classifier(
    encoder: Encoder,
    labels: Sequence[str],
    seed: int,
    *,
    keep_head: bool = False,
    reinit_layers: int = 0,
    dropout: float | None = None,
) -> Any:
    """The encoder's weights under a head of ``len(labels)`` outputs, in fp32, on the CPU.

    Args:
        encoder: From `find_encoder`.
        labels: Label names in label-id order.
        seed: Seeds the initial weights of the head and of ``reinit_layers``.
        keep_head: Keep the encoder's head, which must be trained for the same labels in the same order.
        reinit_layers: The number of top layers that start from random weights (Zhang et al. 2021, section 5).
        dropout: The probability of dropout everywhere; None for that of the encoder's configuration.

    Raises:
        EncoderError: The weights do not belong to the configuration.
        UsageError: The encoder has no head, or one for other labels; or fewer layers than ``reinit_layers``.
    """
    from acceptor.runtime.device import seed_everything

    if keep_head:
        _check_labels(encoder, labels)
    seed_everything(seed)
    model, info = _load(
        encoder.folder,
        labels,
        new_head=not keep_head,
        reinit_layers=reinit_layers,
        dropout=dropout,
        ignore_mismatched_sizes=True,  # a pooler of another width is replaced; all else is refused below
    )
    lost = {*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])}
    if keep_head and lost & _head_of(model):
        raise _no_head(encoder.name, f"it lacks {min(lost & _head_of(model))}")
    lost = {name for name in lost - _top_layers(model, reinit_layers) if not _may_be_new(name)}
    if lost:
        raise EncoderError(
            "the weights do not belong to this encoder",
            where=str(weights_file(encoder.folder)),
            expected=f"all weights of a {encoder.config['model_type']} encoder",
            found=f"{len(lost)} missing or of another size, such as {min(lost)}",
            cause="config.json and model.safetensors come from different models",
            code="E-ENCODER-FILE",
        )
    return model


def load_classifier(folder: Path, labels: Sequence[str]) -> Any:
    """A fine-tuned classifier from a run folder, in fp32, ready to judge.

    Args:
        folder: Holds ``config.json`` and ``model.safetensors``.
        labels: Label names in label-id order.

    Raises:
        EncoderError: The folder's config or weights are missing or do not fit each other.
    """
    model, info = _load(folder, labels)
    if info["missing_keys"]:
        raise EncoderError(
            "the weights are not those of a fine-tuned judge",
            where=str(folder),
            found=f"{len(info['missing_keys'])} weights missing, such as {min(info['missing_keys'])}",
            code="E-ENCODER-FILE",
        )
    return model.eval()


def parameter_counts(model: Any) -> dict[str, int]:
    """The number of parameters: total, embeddings, layers, head."""
    encoder = model.base_model
    counts = {
        "total": sum(p.numel() for p in model.parameters()),
        "embeddings": sum(p.numel() for name, p in encoder.named_parameters() if "embeddings" in name),
        "head": sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in encoder.parameters()),
    }
    counts["layers"] = counts["total"] - counts["embeddings"] - counts["head"]
    return counts


def longest_input(model_config: Any, tokenizer: Any) -> int:
    """The longest input in tokens, which the encoder's positions limit."""
    positions = getattr(model_config, "max_position_embeddings", None) or 512
    if model_config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        positions -= model_config.pad_token_id + 1  # their positions are counted from the padding id
    return int(min(positions, tokenizer.model_max_length))


def check_tokens(tokenizer: Any, model: Any) -> None:
    """Refuses a tokenizer with ids or segment ids for which the model has no embedding.

    Raises:
        EncoderError: The largest id or segment id is out of range.
    """
    config = model.config
    pair = tokenizer.backend_tokenizer.encode("a", "a")
    largest = max([*tokenizer.backend_tokenizer.get_vocab(with_added_tokens=True).values(), *pair.ids])
    kinds = getattr(config, "type_vocab_size", 0) if "token_type_ids" in tokenizer.model_input_names else 0
    kind = max(pair.type_ids, default=0)
    if largest >= config.vocab_size or (kinds and kind >= kinds):
        raise EncoderError(
            "the tokenizer does not belong to this encoder",
            expected=f"ids below {config.vocab_size}" + (f", segments below {kinds}" if kinds else ""),
            found=f"the id {largest}, the segment {kind}",
            cause="config.json and the tokenizer come from different models",
            code="E-ENCODER-TOKENIZER",
        )


def _check_labels(encoder: Encoder, labels: Sequence[str]) -> None:
    """Refuses labels other than those of the encoder's own head."""
    try:
        own = head_labels(encoder.folder, encoder.config)
    except (OSError, ValueError) as error:
        raise _no_head(encoder.name, str(error)) from error
    if own != tuple(labels):
        raise UsageError(
            "the encoder's head was trained for other labels",
            where=str(encoder.folder),
            expected=f"the data's, in their order: {', '.join(labels)}"[:300],
            found=f"the encoder's: {', '.join(own)}"[:300],
            next="leave --keep-head out, and a new head is trained; or name the data's labels: --labels "
            + ",".join(own)[:200],
            code="E-USAGE-HEAD",
        )


def _no_head(name: str, cause: str) -> UsageError:
    return UsageError(
        f"{name} has no head to keep",
        cause=cause,
        next="leave --keep-head out, and a new head is trained",
        code="E-USAGE-HEAD",
    )


def _head_of(model: Any) -> set[str]:
    """The names of the head's weights. ModernBERT's ``head`` is pre-trained, so it is not among them."""
    above = (
        (f"{model.base_model_prefix}.", "head.")
        if model.config.model_type == "modernbert"
        else (f"{model.base_model_prefix}.",)
    )
    return {name for name in model.state_dict() if not name.startswith(above)}


def _top_layers(model: Any, count: int) -> set[str]:
    """The names of the weights of the top ``count`` layers.

    Raises:
        UsageError: The encoder has fewer layers.
    """
    numbers = {name: int(found[1]) for name in model.state_dict() if (found := re.search(r"\.layers?\.(\d+)\.", name))}
    layers = max(numbers.values(), default=-1) + 1
    if count > layers:
        raise UsageError(
            f"{count} layers cannot start from random weights",
            expected=f"at most {layers}: the encoder has no more that are numbered",
            next="--reinit-layers 0",
            code="E-USAGE-OPTION",
        )
    return {name for name, number in numbers.items() if number >= layers - count}


def _may_be_new(name: str) -> bool:
    return any(part in NEW_PARTS for part in name.split("."))


def _load(
    folder: Path,
    labels: Sequence[str],
    *,
    new_head: bool = False,
    reinit_layers: int = 0,
    dropout: float | None = None,
    **options: Any,
) -> tuple[Any, Any]:
    """The classifier, from a checked configuration and weights read here; Transformers opens no file."""
    import torch
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

    config = model_config(folder, labels)
    if dropout is not None:
        _set_dropout(config, dropout)
    path = weights_file(folder)
    stored = weight_count(path)
    try:
        build = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]
        with quiet_transformers():
            with torch.device("meta"):  # shapes only, before memory is allocated
                shape = build(config)
            sizes = {name: parameter.numel() for name, parameter in shape.named_parameters()}
            wanted = sum(size for name, size in sizes.items() if not _may_be_new(name))
            if wanted > stored or sum(sizes.values()) > stored + NEW_PARAMETERS:
                raise EncoderError(
                    "the weights do not belong to this encoder",
                    where=str(path),
                    expected=f"{sum(sizes.values()):,} numbers, after config.json",
                    found=f"{stored:,}",
                    cause="config.json and model.safetensors come from different models",
                    code="E-ENCODER-FILE",
                )
            old = (_head_of(shape) if new_head else set()) | _top_layers(shape, reinit_layers)
            old |= {
                name.removeprefix(f"{shape.base_model_prefix}.") for name in old
            }  # a file without a head has no prefix
            weights = {name: weight for name, weight in read_weights(path).items() if name not in old}
            model, info = build.from_pretrained(
                None, config=config, state_dict=weights, dtype=torch.float32, output_loading_info=True, **options
            )
    except (EncoderError, UsageError):
        raise
    except Exception as error:  # whatever sizes that do not fit cause
        raise EncoderError(
            "the weights cannot be loaded",
            where=str(folder),
            cause=(str(error).strip() or type(error).__name__).split("\n")[0],
            code="E-ENCODER-FILE",
        ) from error
    return model, info


def _set_dropout(config: Any, probability: float) -> None:
    """Sets all probabilities of dropout: architectures have one to four, under names of their own."""
    for name, value in vars(config).items():
        if "dropout" in name and (value is None or isinstance(value, float | int)):
            setattr(config, name, probability)


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silences Transformers' warnings and bars: the weights of a new head, say, are meant to be missing."""
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
