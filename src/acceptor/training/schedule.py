"""The learning rate schedule: linear warm-up, then linear decay."""

from __future__ import annotations

from acceptor.config import ResolvedConfig


def learning_rate(step: int, total_steps: int, config: ResolvedConfig) -> float:
    """The rate of optimizer step ``step`` (0-based): linear warm-up to the peak, then linear decay to 0."""
    warmup_steps = round(config.warmup * total_steps)
    if step < warmup_steps:
        return config.learning_rate * (step + 1) / (warmup_steps + 1)
    return config.learning_rate * (total_steps - step) / (total_steps - warmup_steps)
