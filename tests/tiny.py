"""Small encoders made on the spot: real tokenizers and architectures, random weights."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AlbertConfig,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)
from transformers.models.auto.modeling_auto import MODEL_MAPPING

TEXTS = [
    "The book was written by John.",
    "The book was wrote by John.",
    "She knows that the cats sleep on the mat.",
    "Them knows that the cat sleep on mat the.",
    "Which boy did the girl see in the garden?",
    "Naïve café owners don't like “quotes” — or do they?",
] * 20

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 66,
}

# model_type -> (config class, tokenizer kind, extra settings). Padding ids differ on purpose.
ARCHITECTURES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "bert": (BertConfig, "wordpiece", {}),
    "roberta": (RobertaConfig, "bpe", {}),
    "mpnet": (MPNetConfig, "mpnet", {}),
    "electra": (ElectraConfig, "wordpiece", {"embedding_size": 8}),
    "distilbert": (DistilBertConfig, "wordpiece", {"hidden_dim": 32}),
    "deberta-v2": (DebertaV2Config, "unigram", {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
    "modernbert": (ModernBertConfig, "modern", {"global_attn_every_n_layers": 2, "local_attention": 8}),
    "albert": (AlbertConfig, "unigram", {"embedding_size": 8}),
    "xlm-roberta": (XLMRobertaConfig, "xlmr", {}),
}


def words(tokenizer: Tokenizer) -> list[str]:
    """The words of `TEXTS` as that tokenizer's first steps cut them."""
    normal = tokenizer.normalizer.normalize_str if tokenizer.normalizer else str
    return [word for text in TEXTS for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal(text))]


def make_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """A fast tokenizer of the given kind, with the vocabulary of `TEXTS`.

    The same in every process: the libraries' trainers of WordPiece and Unigram break ties by a hash that differs from
    process to process, so those two vocabularies are all words and all letters, in alphabetical order.
    """
    if kind in ("wordpiece", "mpnet"):
        pad, unk, cls, sep, mask = (
            ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
            if kind == "wordpiece"
            else ("<pad>", "[UNK]", "<s>", "</s>", "<mask>")
        )
        # The order decides the ids: MPNet has <s> 0, <pad> 1.
        special = [pad, unk, cls, sep, mask] if kind == "wordpiece" else [cls, pad, sep, unk, mask]
        tokenizer = Tokenizer(models.WordPiece(unk_token=unk))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        pieces = sorted({piece for word in words(tokenizer) for piece in (word, *word, *(f"##{c}" for c in word))})
        vocabulary = {piece: index for index, piece in enumerate([*special, *pieces])}
        tokenizer.model = models.WordPiece(vocabulary, unk_token=unk)
    elif kind in ("bpe", "modern"):
        pad, unk, cls, sep, mask = (
            ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
            if kind == "bpe"
            else ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
        )
        special = [cls, pad, sep, unk, mask] if kind == "bpe" else [unk, cls, sep, pad, mask]
        tokenizer = Tokenizer(models.BPE(unk_token=unk))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(TEXTS, trainer)
    else:
        pad, unk, cls, sep, mask = (
            ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
            if kind == "unigram"
            else ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
        )
        special = [pad, unk, cls, sep, mask] if kind == "unigram" else [cls, pad, sep, unk, mask]
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        counts = Counter(piece for word in words(tokenizer) for piece in (word, *word))
        scores = [(piece, math.log(count / counts.total())) for piece, count in sorted(counts.items())]
        pieces_of = [*((piece, 0.0) for piece in special), *scores]
        tokenizer.model = models.Unigram(pieces_of, unk_id=special.index(unk), byte_fallback=False)
        tokenizer.add_special_tokens(special)
    ends = [(cls, tokenizer.token_to_id(cls)), (sep, tokenizer.token_to_id(sep))]
    second = f"{sep}:0 $B:0 {sep}:0" if kind in ("bpe", "mpnet", "xlmr") else "$B:1 " + f"{sep}:1"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}", pair=f"{cls}:0 $A:0 {sep}:0 {second}", special_tokens=ends
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        unk_token=unk,
        cls_token=cls,
        sep_token=sep,
        mask_token=mask,
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"]
        + (["token_type_ids"] if kind in ("wordpiece", "unigram") else []),
    )


def make_encoder(folder: Path, architecture: str = "bert", *, seed: int = 0, **settings: Any) -> Path:
    """Saves a random 2-layer encoder of ``architecture`` with its tokenizer into ``folder``."""
    import torch

    from acceptor.model.classifier import quiet_transformers

    config_class, kind, extra = ARCHITECTURES[architecture]
    tokenizer = make_tokenizer(kind)
    config = config_class(
        **{**SIZES, **extra, **settings},
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
    )
    torch.manual_seed(seed)
    model = MODEL_MAPPING[config_class](config)
    with quiet_transformers():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder
