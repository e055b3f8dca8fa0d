"""The last linear layer of a classifier: found in any architecture, and changed so that its logits are others."""

from __future__ import annotations

import copy
from typing import Any

from acceptor.errors import UsageError


def with_scaled_logits(model: Any, *, divisor: float, shift: float) -> Any:
    """A copy of the classifier whose logits are divided by ``divisor``, and then less by ``shift`` at label id 1.

    Raises:
        UsageError: See `last_linear`; or the layer has no bias to shift.
    """
    import torch

    from acceptor.model.ensemble import Ensemble

    if isinstance(model, Ensemble):  # the mean of scaled logits is the scaled mean
        return Ensemble([with_scaled_logits(one, divisor=divisor, shift=shift) for one in model.members])
    model = copy.deepcopy(model)
    layer = last_linear(model)
    if layer.bias is None and shift:
        raise _unknown_head(model, "its last layer has no bias to add a threshold to")
    with torch.no_grad():  # in fp64, so that each number is rounded once
        layer.weight.copy_(layer.weight.double() / divisor)
        if layer.bias is not None:
            bias = layer.bias.double() / divisor
            bias[1] -= shift
            layer.bias.copy_(bias)
    return model


def last_linear(model: Any) -> Any:
    """The linear layer whose output is the logits. Its name differs: ``classifier``, ``classifier.out_proj``.

    It is the one that returned the logits when the classifier computed a few tokens.

    Raises:
        UsageError: No linear layer did.
    """
    import torch

    outputs: list[tuple[Any, Any]] = []
    linears = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    hooks = [one.register_forward_hook(lambda layer, _, output: outputs.append((layer, output))) for one in linears]
    try:
        with torch.no_grad():
            ids = torch.zeros((1, 2), dtype=torch.int64)
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    finally:
        for hook in hooks:
            hook.remove()
    for layer, output in outputs:
        if output is logits:
            return layer
    raise _unknown_head(model, f"none of its {len(linears)} linear layers gives the logits")


def _unknown_head(model: Any, found: str) -> UsageError:
    return UsageError(
        "temperature and threshold cannot be written into this classifier's head",
        expected="a head whose last step is a linear layer with a bias",
        found=f"{type(model).__name__}: {found}",
        cause="an architecture with a head of its own",
        next="leave --bake out: Acceptor applies both numbers itself",
        code="E-USAGE-JUDGE",
    )
