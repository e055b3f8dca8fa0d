"""AdamW with real weight decay, and the learning rate of every step."""

from __future__ import annotations

from typing import Any

from acceptor.config import TrainConfig


def parameter_groups(model: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: weight matrices, which decay, and biases and norms, which do not.

    A parameter decays if it has two dimensions or more; every bias and norm gain has one.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def make_optimizer(model: Any, config: TrainConfig) -> Any:
    """Fused AdamW (Loshchilov & Hutter 2019, decoupled decay; with Adam's bias correction), eps 1e-8."""
    from torch.optim import AdamW

    groups = parameter_groups(model, config.weight_decay)
    # Fused kernels exist for the CPU and CUDA; elsewhere (MPS) torch picks its best.
    fused = next(model.parameters()).device.type in ("cpu", "cuda") or None
    return AdamW(groups, lr=config.learning_rate, eps=1e-8, fused=fused)


def learning_rate(step: int, total_steps: int, config: TrainConfig) -> float:
    """The rate of optimizer step ``step`` (0-based): a linear climb to the peak, then linearly to 0."""
    warmup_steps = round(config.warmup * total_steps)
    if step < warmup_steps:
        return config.learning_rate * (step + 1) / (warmup_steps + 1)
    return config.learning_rate * (total_steps - step) / (total_steps - warmup_steps)
