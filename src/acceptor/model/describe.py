"""A description of an encoder: configuration, size, tokenizer. No weights are loaded."""

from __future__ import annotations

from acceptor.model.classifier import parameter_counts
from acceptor.model.pretrained import Encoder
from acceptor.model.safety import model_config
from acceptor.model.tokenizer import load_tokenizer

MEANINGS = {
    "model_type": "the architecture's name",
    "vocab_size": "word pieces in the vocabulary",
    "hidden_size": "width of every token's vector (d_model)",
    "embedding_size": "width of the embeddings before they are projected",
    "num_hidden_layers": "layers",
    "num_attention_heads": "attention heads in each layer",
    "intermediate_size": "width of the feed-forward part of a layer",
    "hidden_act": "its activation function",
    "hidden_dropout_prob": "dropout on embeddings and layer outputs while training",
    "attention_probs_dropout_prob": "dropout on attention weights while training",
    "max_position_embeddings": "positions, hence the longest input in tokens",
    "type_vocab_size": "kinds of segments (2: first and second sentence)",
    "relative_attention_num_buckets": "buckets of relative distance in attention",
    "layer_norm_eps": "added to the variance in layer norms against division by 0",
    "initializer_range": "standard deviation of new weights",
    "pad_token_id": "id of the padding token; attention never sees it",
}
"""Configuration keys and their meanings."""


def describe_encoder(encoder: Encoder) -> dict[str, object]:
    """Name, hash, configuration with meanings, parameter counts with a two-label head, tokenizer.

    Args:
        encoder: From `find_encoder`.

    Raises:
        EncoderError: The tokenizer cannot be read.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    config = model_config(encoder.folder, ("no", "yes"))
    with torch.device("meta"):  # shapes without memory
        model = AutoModelForSequenceClassification.from_config(config)
    tokenizer = load_tokenizer(encoder.folder)
    values = config.to_dict()
    values["hidden_act"] = getattr(config, "hidden_act", None) or values.get("activation")
    return {
        **encoder.to_dict(),
        "folder": str(encoder.folder),
        "config": {key: values[key] for key in MEANINGS if values.get(key) is not None},
        "parameters": parameter_counts(model),
        "classifier": type(model).__name__,
        "tokenizer": {
            "class": type(tokenizer).__name__,
            "model": type(tokenizer.backend_tokenizer.model).__name__,
            "vocabulary": len(tokenizer),
            "pad": f"{tokenizer.pad_token} = {tokenizer.pad_token_id}",
            "special tokens": " ".join(tokenizer.all_special_tokens),
        },
    }
