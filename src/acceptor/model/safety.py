"""Checks what may be loaded: known architectures and safetensors weights, no code.

Transformers never gets an encoder's folder. It gets a configuration of the fields that it knows, and weights that were
read here. So no other file of the folder, and no path that a file there names, is ever opened.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acceptor.errors import EncoderError
from acceptor.model.model_folder import MAX_COUNT, refuse_incomplete_model
from acceptor.storage.links import check_links
from acceptor.storage.strict_json import parse_json_object, read_json_object

if TYPE_CHECKING:
    from torch import Tensor

ARCHITECTURES = (
    "albert",
    "bert",
    "camembert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "modernbert",
    "mpnet",
    "roberta",
    "xlm-roberta",
)
"""The `model_type` values that Acceptor loads, each tested with a small random model, or with a close relative."""

OWN_CODE = ("auto_map", "custom_pipelines", "quantization_config", "transformers_weights", "per_layer_config")
"""Keys of ``config.json`` that name code, files, or a library that would load them."""

_ATTENTION = re.compile("_?(attn|experts)_implementation(_internal)?")  # may name a repository with kernels
_PLAIN_ATTENTION = (None, "eager", "sdpa", "flash_attention_2")
_CLASS = re.compile("(Albert|Bert|Camembert|Deberta|DistilBert|Electra|ModernBert|MPNet|Roberta|XLMRoberta)\\w*")
# Keys that Transformers reads although they are no fields: ids of special tokens, keys of older files.
_EXTRA_KEYS = {
    "cls_token_id",
    "sep_token_id",
    "pooler_hidden_size",
    "attention_head_size",
    "head_dim",
    "global_attn_every_n_layers",
    "global_rope_theta",
    "local_rope_theta",
}
# Fields that Acceptor sets itself.
_SET_HERE = {
    "architectures",
    "dtype",
    "id2label",
    "label2id",
    "output_attentions",
    "output_hidden_states",
    "problem_type",
    "return_dict",
}

_MAX_OF = {"vocab_size": 1 << 22, "max_position_embeddings": 1 << 20}
_MAX_SIZE = 1 << 16  # of any other number; `MAX_COUNT` is that of numbers of layers, heads and groups
MAX_HEADER_BYTES = 16 << 20  # a header has some 100 bytes for each tensor
NEW_PARAMETERS = 1 << 26  # of a new head and pooler, at most
_DTYPES = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"}


def read_config(folder: Path) -> dict[str, object]:
    """The encoder's ``config.json``, refused if it asks for code, an unknown architecture or absurd sizes.

    Raises:
        EncoderError: A link leaves the folder; there is no config, it is not JSON or too large; or a value is refused.
    """
    path = folder / "config.json"
    check_links(folder)
    refuse_incomplete_model(folder)
    if not path.is_file():
        raise EncoderError(
            "this folder is not an encoder",
            where=str(folder),
            expected="config.json, model.safetensors and the tokenizer's files",
            found=", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "an empty folder",
            code="E-ENCODER-FILE",
        )
    try:
        config = read_json_object(path)
    except (OSError, ValueError) as error:
        problem = "config.json cannot be read"
        raise EncoderError(problem, where=str(path), cause=str(error), code="E-ENCODER-FILE") from error
    _refuse_code(config, path)
    if config.get("model_type") not in ARCHITECTURES:
        raise EncoderError(
            f"architecture {str(config.get('model_type'))[:40]!r} is not supported",
            where=f"{path}: model_type",
            expected=", ".join(ARCHITECTURES),
            code="E-ENCODER-ARCHITECTURE",
        )
    _refuse_sizes(config, path)
    return config


def _refuse_code(config: dict[str, object], path: Path) -> None:
    named = [key for key in OWN_CODE if config.get(key) is not None]
    named += [key for key in config if _ATTENTION.fullmatch(key) and config[key] not in _PLAIN_ATTENTION]
    classes = config.get("architectures") or []
    if not isinstance(classes, list) or not all(isinstance(name, str) and _CLASS.fullmatch(name) for name in classes):
        named.append("architectures")
    if named:
        raise EncoderError(
            "this encoder would run its own code",
            where=f"{path}: {named[0]}",
            expected="an architecture that Transformers itself contains",
            cause="models made for trust_remote_code=True carry Python files; Acceptor never runs them",
            code="E-ENCODER-UNSAFE",
        )


def _refuse_sizes(config: dict[str, object], path: Path) -> None:
    for key, value in config.items():
        counts = key.startswith(("num_", "n_")) or key == "inner_group_num"
        limit = _MAX_OF.get(key, MAX_COUNT if counts else _MAX_SIZE)
        if key.endswith(("_token_id", "_index")):
            limit = _MAX_OF["vocab_size"]
        if isinstance(value, int | float) and not -_MAX_SIZE <= value <= limit:
            raise EncoderError(
                f"{key} is out of range",
                where=str(path),
                expected=f"at most {limit}",
                found=str(value)[:40],
                code="E-ENCODER-FILE",
            )


def model_config(folder: Path, labels: Sequence[str]) -> Any:
    """Transformers' configuration for a classifier, made of the fields that it knows.

    Args:
        folder: Holds a ``config.json``.
        labels: Label names in label-id order.

    Raises:
        EncoderError: `read_config` or Transformers refuses a value.
    """
    from transformers import CONFIG_MAPPING

    given = read_config(folder)
    of_type = CONFIG_MAPPING[given["model_type"]]
    known = {*of_type.__dataclass_fields__, *of_type.attribute_map, *_EXTRA_KEYS} - _SET_HERE
    try:
        return of_type(
            **{name: value for name, value in given.items() if name in known},
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
            problem_type="single_label_classification",  # other servers choose softmax by it
        )
    except Exception as error:  # whatever a value of the wrong type causes
        where, problem = str(folder / "config.json"), "the weights cannot be loaded"
        raise EncoderError(problem, where=where, cause=_reason(error), code="E-ENCODER-FILE") from error


def weights_file(folder: Path) -> Path:
    """The encoder's ``model.safetensors``.

    Raises:
        EncoderError: There is none; the error names a pickled ``pytorch_model.bin``, which is never opened.
    """
    path = folder / "model.safetensors"
    if path.is_file():
        return path
    pickled = sorted(
        entry.name for entry in folder.iterdir() if entry.suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt", ".h5"}
    )
    raise EncoderError(
        "the encoder has no safetensors weights",
        where=str(folder),
        expected="model.safetensors",
        found=", ".join(pickled) or "no weights at all",
        cause="pickled weights can run code when they are opened; Acceptor never opens them" if pickled else None,
        next="convert them where you trust them: AutoModel.from_pretrained(NAME).save_pretrained(FOLDER)",
        code="E-ENCODER-FILE",
    )


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors in a safetensors file, by name.

    Raises:
        EncoderError: The file is damaged, or a weight is infinite or NaN.
    """
    from safetensors.torch import load_file

    weight_count(path)
    try:
        tensors = load_file(path)
        bad = [name for name, value in tensors.items() if value.is_floating_point() and not _finite(value)]
    except Exception as error:  # SafetensorError, and torch's errors about shapes
        raise _damaged(path, _reason(error)) from error
    if bad:
        raise EncoderError(
            "a weight is not finite",
            where=f"{path}: {bad[0]}",
            expected="finite numbers",
            found=f"NaN or infinity in {len(bad)} of {len(tensors)} tensors",
            cause="a training that diverged, or a damaged file",
            code="E-ENCODER-FILE",
        )
    return _without_wrapper(tensors)


def _without_wrapper(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Removes a wrapper's prefix from all names: DataParallel's ``module.``, torch.compile's ``_orig_mod.``."""
    for wrapper in ("module.", "_orig_mod.", "module."):
        if tensors and all(name.startswith(wrapper) for name in tensors):
            tensors = {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}
    return tensors


def weight_count(path: Path) -> int:
    """The number of weights in a safetensors file, from its header; no tensor is read.

    Raises:
        EncoderError: The header is malformed.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(MAX_HEADER_BYTES, path.stat().st_size - 8):
                raise ValueError(f"a header of {length} bytes")
            entries = parse_json_object(stream.read(length), limit=MAX_HEADER_BYTES)
        entries.pop("__metadata__", None)
        for name, entry in entries.items():
            if entry["dtype"] not in _DTYPES:
                raise ValueError(f"{name} is of the unknown type {str(entry['dtype'])[:40]!r}")
        return sum(_size(entry["shape"]) for entry in entries.values())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, _reason(error)) from error


def _size(shape: Any) -> int:
    size = 1
    for length in shape:
        if type(length) is not int or not 0 <= length < 1 << 40 or size > 1 << 40:
            raise ValueError(f"the shape {str(shape)[:60]} is not one of at most {1 << 40} numbers")
        size *= length
    return size


def _finite(tensor: Any) -> bool:
    """False if a value is NaN or infinite, which a sum shows."""
    import torch

    return bool(torch.isfinite(tensor.sum(dtype=torch.float32))) or bool(torch.isfinite(tensor).all())


def _damaged(path: Path, cause: str) -> EncoderError:
    return EncoderError(
        "the weights cannot be loaded",
        where=str(path),
        expected="a whole safetensors file",
        cause=cause,
        code="E-ENCODER-FILE",
    )


def _reason(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0][:300]
