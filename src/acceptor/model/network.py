"""The network that computes: on a CPU, a classifier's modules with fast layers in place of Transformers' own.

The classifier in `Judge.model` stays as Transformers made it, in fp32. Training and judging use a working copy: the
same modules with their own weights. On GPUs, and for other architectures (DeBERTa, ModernBERT, ALBERT), its layers are
Transformers'. On a CPU, training uses `FastLayer`; judging uses one kernel for all layers if the processor has AVX-512,
else `FastLayer`, too.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from acceptor.model.batches import Padded, to_tensors
from acceptor.model.dropout import DropoutMasks
from acceptor.model.ensemble import Ensemble, members_of
from acceptor.model.layer import Dense, FastLayer, LayerWeights, Norm
from acceptor.model.scorer import Logits, Scorer
from acceptor.native.layers import Layers, has_layers


def working_copy(model: Any, weights: dict[Any, nn.Parameter]) -> Any:
    """The same modules and buffers, with ``weights[old]`` in place of each parameter ``old``; copies no weights."""
    buffers = {id(buffer): buffer for buffer in model.buffers()}
    return copy.deepcopy(model, {id(old): new for old, new in weights.items()} | buffers)


def torch_scorer(model: Any, *, precision: str, device: str) -> Scorer:
    """A `Scorer` of `judging_network`: on a CPU, it scores as many batches at once as torch has threads."""
    network = judging_network(model, precision=precision)

    def score(inputs: Padded) -> Logits:
        with torch.inference_mode():
            return network(**to_tensors(inputs, device)).logits.float().cpu().numpy()  # type: ignore[no-any-return]

    return Scorer(score, _cores if device == "cpu" else lambda: 1, _on_one_core)


_threads = threading.Lock()  # held while torch's number of threads is not the user's


def _cores() -> int:
    with _threads:  # a new thread gets the number that was set last, by any thread
        return torch.get_num_threads()


def _on_one_core() -> None:
    """Makes this thread compute on one core. torch would use that number for new threads, too, so it is reset."""
    with _threads:
        cores = torch.get_num_threads()
        torch.set_num_threads(1)
        again = threading.Thread(target=torch.set_num_threads, args=(cores,))
        again.start()
        again.join()


def judging_network(model: Any, *, precision: str) -> Any:
    """A network for judging, in evaluation mode, on the model's device.

    Args:
        model: The classifier, fp32; of an ensemble, each member gets a network.
        precision: The precision of matmul inputs: ``fp32``, ``bf16`` or ``int8``; or ``plain``: fp32 with
            Transformers' own modules, for comparison.
    """
    if precision == "plain":
        return model.eval()
    if isinstance(model, Ensemble):
        return Ensemble([judging_network(member, precision=precision) for member in model.members]).eval()
    if has_whole_layers(model, precision):
        network = working_copy(model, {old: _frozen(old.detach()) for old in model.parameters()})
        home = _encoder_of(network)
        weights = [LAYER_WEIGHTS[network.config.model_type](layer) for layer in home.layer]
        home.layer = nn.ModuleList([_WholeLayers(Layers(weights, precision), network.config.model_type == "mpnet")])
        return network.eval()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    network = working_copy(model, {old: _frozen(old.detach().to(dtype)) for old in model.parameters()})
    if next(model.parameters()).device.type == "cpu":
        use_fast_layers(network, DropoutMasks())
    return network.eval()


def has_whole_layers(model: Any, precision: str) -> bool:
    """True if all layers of the model are computed by one kernel (`acceptor.native.layers`) in this precision."""
    on_cpu = next(model.parameters()).device.type == "cpu"
    return on_cpu and all(_is_known(one.config) for one in members_of(model)) and has_layers(precision)


def use_fast_layers(network: Any, dropout_masks: DropoutMasks) -> list[nn.Parameter]:
    """Replaces the layers of ``network`` by fast ones if its architecture is known.

    Returns:
        The parameters whose gradients the fast layers write themselves; none if nothing was replaced.
    """
    if not _is_known(network.config):
        return []
    kind, layers = network.config.model_type, _encoder_of(network).layer
    written: list[nn.Parameter] = []
    for index, layer in enumerate(layers):
        weights = LAYER_WEIGHTS[kind](layer)
        # The heads of these architectures read only the first token.
        first_only = index == len(layers) - 1
        layers[index] = FastLayer(weights, dropout_masks, first_only=first_only, as_tuple=kind == "mpnet")
        written += weights.trained
    for parent, name, module in _submodules(network, nn.Dropout):
        setattr(parent, name, _Dropout(module.p, dropout_masks))
    return written


def _is_known(config: Any) -> bool:
    """True if `acceptor.model.layer` computes these layers."""
    activation = getattr(config, "hidden_act", getattr(config, "activation", None))
    special = getattr(config, "is_decoder", False) or getattr(config, "chunk_size_feed_forward", 0)
    return config.model_type in LAYER_WEIGHTS and activation == "gelu" and not special


def _encoder_of(network: Any) -> Any:
    """The module whose ``layer`` is the list of layers."""
    base = network.base_model
    return base.transformer if network.config.model_type == "distilbert" else base.encoder


class _WholeLayers(nn.Module):
    """Replaces all layers in the encoder's own loop; computes only the first token, which is all that heads read."""

    def __init__(self, layers: Layers, as_tuple: bool) -> None:
        super().__init__()
        self.layers, self.as_tuple = layers, as_tuple

    def forward(self, x: torch.Tensor, mask: Any = None, bias: Any = None, **_: Any) -> Any:
        """From (B, L, d) to (B, 1, d). The mask is true, or 0, where a token is real; padding is at the end."""
        if mask is None:
            lengths, tokens = torch.full(x.shape[:1], x.shape[1]), x.flatten(0, 1).clone()
        else:
            real = mask[:, 0, -1] if mask.dtype == torch.bool else mask[:, 0, -1] == 0
            lengths, tokens = real.sum(1), x[real]
        first = self.layers(tokens, lengths, None if bias is None else bias[0])[:, None]
        return (first,) if self.as_tuple else first


class _Dropout(nn.Module):
    """`nn.Dropout` with masks from `DropoutMasks`."""

    def __init__(self, p: float, dropout_masks: DropoutMasks) -> None:
        super().__init__()
        self.p, self.dropout_masks = p, dropout_masks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.dropout_masks.draw(x, self.p) if self.training and self.p else x


def _bert(layer: Any) -> LayerWeights:
    attention, heads = layer.attention.self, layer.attention.self.num_attention_heads
    return LayerWeights(
        qkv=Dense(attention.query, attention.key, attention.value),
        out=Dense(layer.attention.output.dense),
        norm1=Norm(layer.attention.output.LayerNorm),
        up=Dense(layer.intermediate.dense),
        down=Dense(layer.output.dense),
        norm2=Norm(layer.output.LayerNorm),
        heads=heads,
        drop_attention=attention.dropout.p,
        drop_out=layer.attention.output.dropout.p,
        drop_down=layer.output.dropout.p,
    )


def _mpnet(layer: Any) -> LayerWeights:
    attention = layer.attention.attn
    return LayerWeights(
        qkv=Dense(attention.q, attention.k, attention.v),
        out=Dense(attention.o),
        norm1=Norm(layer.attention.LayerNorm),
        up=Dense(layer.intermediate.dense),
        down=Dense(layer.output.dense),
        norm2=Norm(layer.output.LayerNorm),
        heads=attention.num_attention_heads,
        drop_attention=attention.dropout.p,
        drop_out=layer.attention.dropout.p,
        drop_down=layer.output.dropout.p,
    )


def _distilbert(layer: Any) -> LayerWeights:
    attention = layer.attention
    return LayerWeights(
        qkv=Dense(attention.q_lin, attention.k_lin, attention.v_lin),
        out=Dense(attention.out_lin),
        norm1=Norm(layer.sa_layer_norm),
        up=Dense(layer.ffn.lin1),
        down=Dense(layer.ffn.lin2),
        norm2=Norm(layer.output_layer_norm),
        heads=attention.n_heads,
        drop_attention=attention.dropout.p,
        drop_out=0.0,
        drop_down=layer.ffn.dropout.p,
    )


LAYER_WEIGHTS: dict[str, Callable[[Any], LayerWeights]] = {
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
