"""What may be loaded: known architectures, safetensors weights, no code from anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from acceptor.errors import EncoderError

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
"""The `model_type` values that Acceptor loads, each tested with a small random model or a sibling of one."""

MAX_CONFIG_BYTES = 1 << 20


def read_config(folder: Path) -> dict[str, Any]:
    """The encoder's ``config.json``, refused where it asks for code or an unknown architecture.

    Raises:
        EncoderError: No config, not JSON, too large, `auto_map` in it, or an unknown `model_type`.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise EncoderError(
            "this folder is not an encoder",
            where=str(folder),
            expected="config.json, model.safetensors and the tokenizer's files",
            found=", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "an empty folder",
        )
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ValueError(f"larger than {MAX_CONFIG_BYTES} bytes")
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("not a JSON object")
    except (ValueError, RecursionError) as error:
        raise EncoderError("config.json cannot be read", where=str(path), cause=str(error)) from error
    if "auto_map" in config:
        raise EncoderError(
            "this encoder wants to run its own code",
            where=f"{path}: auto_map",
            expected="an architecture that Transformers itself contains",
            cause="models made for trust_remote_code=True carry Python files; Acceptor never runs them",
        )
    if config.get("model_type") not in ARCHITECTURES:
        raise EncoderError(
            f"architecture {config.get('model_type')!r} is not supported",
            where=f"{path}: model_type",
            expected=", ".join(ARCHITECTURES),
        )
    return config


def weights_file(folder: Path) -> Path:
    """The encoder's ``model.safetensors``.

    Raises:
        EncoderError: There is none; a pickled ``pytorch_model.bin`` is named and left closed.
    """
    path = folder / "model.safetensors"
    if path.is_file():
        return path
    pickled = sorted(entry.name for entry in folder.iterdir() if entry.suffix in {".bin", ".pt", ".pkl", ".h5"})
    raise EncoderError(
        "the encoder has no safetensors weights",
        where=str(folder),
        expected="model.safetensors",
        found=", ".join(pickled) or "no weights at all",
        cause="pickled weights can run code when they are opened; Acceptor never opens them" if pickled else None,
        next="convert them where you trust them: AutoModel.from_pretrained(NAME).save_pretrained(FOLDER)",
    )
