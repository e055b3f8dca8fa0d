"""A WordPiece tokenizer as data for the page's `tokenizer.js`: vocabulary, special tokens, a table of characters."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterator
from typing import Any

from acceptor.errors import UsageError
from acceptor.judging.judge import Judge
from acceptor.model.tokenizer import tokenizer_info

CHARACTERS_AT_ONCE = 64  # more in one call take longer
SURROGATES = range(0xD800, 0xE000)


def wordpiece(judge: Judge) -> dict[str, object]:
    """The judge's tokenizer for the page.

    Raises:
        UsageError: It is not BERT's WordPiece.
    """
    info = tokenizer_info(judge.tokenizer)
    backend = info.backend
    about = json.loads(backend.to_str())
    _refuse_others(about)
    model = about["model"]
    pieces = {index: piece for piece, index in backend.get_vocab(with_added_tokens=False).items()}
    single, _ = _template(backend, "a")
    pair, types = _template(backend, "a", "a")
    return {
        "vocabulary": [pieces.get(index) for index in range(max(pieces) + 1)],
        "prefix": model["continuing_subword_prefix"],
        "longest": model["max_input_chars_per_word"],
        "unknown": info.unknown,
        "word_start": info.word_start,
        "mask": judge.tokenizer.mask_token_id,
        "single": single,
        "pair": pair,
        "pair_types": types if "token_type_ids" in judge.tokenizer.model_input_names else [0] * len(types),
        "max_length": judge.max_length,
        "characters": _characters(**{name: value for name, value in about["normalizer"].items() if name != "type"}),
    }


def _refuse_others(about: dict[str, Any]) -> None:
    steps = [(about[step] or {}).get("type") for step in ("normalizer", "pre_tokenizer", "model")]
    added = [token["content"] for token in about["added_tokens"] if not token["special"]]
    if steps == ["BertNormalizer", "BertPreTokenizer", "WordPiece"] and not added:
        return
    raise UsageError(
        "a page cannot hold this judge's tokenizer",
        expected="WordPiece as BERT, MiniLM, MPNet, ELECTRA and DistilBERT have it, without added words",
        found=f"added words: {', '.join(added[:5])}" if added else " → ".join(str(step) for step in steps),
        cause="the page has its own tokenizer, since browsers have none; only this kind gives the same ids",
        next="acceptor export RUN -o judge.onnx, which takes every judge",
        code="E-USAGE-JUDGE",
    )


def _template(backend: Any, *texts: str) -> tuple[list[int | str], list[int]]:
    """The ids around the texts, which are called A and B, and the type of each part."""
    encoding = backend.encode(*texts)
    parts = [
        index if special else "AB"[side]
        for index, special, side in zip(encoding.ids, encoding.special_tokens_mask, encoding.sequence_ids, strict=True)
    ]
    return parts, list(encoding.type_ids)


@functools.cache
def _characters(**settings: Any) -> dict[str, object]:
    """What each character becomes: nothing, a blank, itself between blanks, or another text. The others stay.

    BERT's normalizer and pre-tokenizer treat each character by itself. Every vocabulary has the same table, which takes
    seconds to make, so it is made once in a process.

    Args:
        **settings: Of BERT's normalizer.
    """
    from tokenizers import normalizers, pre_tokenizers

    ranges: dict[str, list[list[int]]] = {"dropped": [], "blank": [], "apart": []}
    other: dict[str, str] = {}
    for code, text in _changed_characters(normalizers.BertNormalizer(**settings), pre_tokenizers.BertPreTokenizer()):
        character = chr(code)
        kind = {"": "dropped", " ": "blank", f" {character} ": "apart"}.get(text)
        if kind is None:
            other[character] = text
        elif ranges[kind] and ranges[kind][-1][1] == code - 1:
            ranges[kind][-1][1] = code
        else:
            ranges[kind].append([code, code])
    return {**ranges, "other": other}


def _changed_characters(normalizer: Any, pre_tokenizer: Any) -> Iterator[tuple[int, str]]:
    """Each character that becomes something else, with what it becomes; a blank is the end of a word."""
    codes = [code for code in range(sys.maxunicode + 1) if code not in SURROGATES]
    for start in range(0, len(codes), CHARACTERS_AT_ONCE):
        part = codes[start : start + CHARACTERS_AT_ONCE]
        # Each character between two letters; the word "y" between two of these.
        text = normalizer.normalize_str(" y ".join(f"x{chr(code)}x" for code in part))
        words = " ".join(word for word, _ in pre_tokenizer.pre_tokenize_str(text))
        for code, found in zip(part, words.split(" y "), strict=True):
            if found[1:-1] != chr(code):
                yield code, found[1:-1]
