"""The network that computes: a classifier's modules with fast layers in place of Transformers' own, on a CPU.

The classifier that `Judge.model` holds stays as Transformers made it, in fp32. What trains or judges is a working
copy of it: the same modules over weights of its own, with `FastLayer` where the architecture is known, untouched
elsewhere (DeBERTa, ModernBERT, ALBERT, GPUs).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from acceptor.model.layer import Dense, FastLayer, Norm, PackedDense, Parts
from acceptor.model.noise import Noise
from acceptor.native.products import has_onednn_bf16


def working_copy(model: Any, weights: dict[Any, nn.Parameter]) -> Any:
    """The same modules and buffers, with ``weights[old]`` wherever a parameter ``old`` stood; copies no weights."""
    buffers = {id(buffer): buffer for buffer in model.buffers()}
    return copy.deepcopy(model, {id(old): new for old, new in weights.items()} | buffers)


def judging_network(model: Any, *, bf16: bool) -> Any:
    """A network for judging alone, in evaluation mode, on the model's device."""
    if next(model.parameters()).device.type != "cpu":
        dtype = torch.bfloat16 if bf16 else torch.float32
        weights = {old: _frozen(old.detach().to(dtype)) for old in model.parameters()}
        return working_copy(model, weights).eval()
    weights = {old: _frozen(old.detach().bfloat16() if bf16 else old.detach()) for old in model.parameters()}
    network = working_copy(model, weights)
    use_fast_layers(network, Noise(), dense=PackedDense if bf16 and has_onednn_bf16() else Dense)
    return network.eval()


def use_fast_layers(network: Any, noise: Noise, dense: type[Dense] = Dense) -> list[nn.Parameter]:
    """Puts fast layers into ``network`` where its architecture is known.

    Returns:
        The parameters whose gradients the fast layers write by themselves; none where nothing was replaced.
    """
    config = network.config
    parts_of = PARTS.get(config.model_type)
    activation = getattr(config, "hidden_act", getattr(config, "activation", None))
    special = getattr(config, "is_decoder", False) or getattr(config, "chunk_size_feed_forward", 0)
    if parts_of is None or activation != "gelu" or special:
        return []
    base = network.base_model
    layers = base.transformer.layer if config.model_type == "distilbert" else base.encoder.layer
    written: list[nn.Parameter] = []
    for index, layer in enumerate(layers):
        parts = parts_of(layer, dense)
        # All heads of these architectures read the first token alone.
        first_only = index == len(layers) - 1
        layers[index] = FastLayer(parts, noise, first_only=first_only, as_tuple=config.model_type == "mpnet")
        written += parts.trained
    for parent, name, module in _submodules(network, nn.Dropout):
        setattr(parent, name, _Dropout(module.p, noise))
    return written


class _Dropout(nn.Module):
    """`nn.Dropout` with masks from `Noise`."""

    def __init__(self, p: float, noise: Noise) -> None:
        super().__init__()
        self.p, self.noise = p, noise

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.noise.keep(x, self.p) if self.training and self.p else x


def _bert(layer: Any, dense: type[Dense]) -> Parts:
    attention, heads = layer.attention.self, layer.attention.self.num_attention_heads
    return Parts(
        qkv=dense(attention.query, attention.key, attention.value),
        out=dense(layer.attention.output.dense),
        norm1=Norm(layer.attention.output.LayerNorm),
        up=dense(layer.intermediate.dense),
        down=dense(layer.output.dense),
        norm2=Norm(layer.output.LayerNorm),
        heads=heads,
        drop_attention=attention.dropout.p,
        drop_out=layer.attention.output.dropout.p,
        drop_down=layer.output.dropout.p,
    )


def _mpnet(layer: Any, dense: type[Dense]) -> Parts:
    attention = layer.attention.attn
    return Parts(
        qkv=dense(attention.q, attention.k, attention.v),
        out=dense(attention.o),
        norm1=Norm(layer.attention.LayerNorm),
        up=dense(layer.intermediate.dense),
        down=dense(layer.output.dense),
        norm2=Norm(layer.output.LayerNorm),
        heads=attention.num_attention_heads,
        drop_attention=attention.dropout.p,
        drop_out=layer.attention.dropout.p,
        drop_down=layer.output.dropout.p,
    )


def _distilbert(layer: Any, dense: type[Dense]) -> Parts:
    attention = layer.attention
    return Parts(
        qkv=dense(attention.q_lin, attention.k_lin, attention.v_lin),
        out=dense(attention.out_lin),
        norm1=Norm(layer.sa_layer_norm),
        up=dense(layer.ffn.lin1),
        down=dense(layer.ffn.lin2),
        norm2=Norm(layer.output_layer_norm),
        heads=attention.n_heads,
        drop_attention=attention.dropout.p,
        drop_out=0.0,
        drop_down=layer.ffn.dropout.p,
    )


PARTS: dict[str, Callable[[Any, type[Dense]], Parts]] = {
    "bert": _bert,
    "roberta": _bert,
    "xlm-roberta": _bert,
    "camembert": _bert,
    "electra": _bert,
    "mpnet": _mpnet,
    "distilbert": _distilbert,
}


def _submodules(root: Any, kind: type[nn.Module]) -> Iterable[tuple[nn.Module, str, Any]]:
    """Every submodule of a kind with its parent and its name there."""
    return [
        (parent, name, child)
        for parent in root.modules()
        for name, child in parent.named_children()
        if isinstance(child, kind)
    ]


def _frozen(weight: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(weight, requires_grad=False)
