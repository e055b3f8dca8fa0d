"""`Ensemble`: several classifiers as one, whose logits are the mean of theirs (Hansen & Salamon 1990)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput


class Ensemble(nn.Module):
    """Classifiers of the same inputs and labels as one network.

    Attributes:
        members: The classifiers, or their networks for judging.
    """

    def __init__(self, members: Sequence[Any]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def config(self) -> Any:
        """The configuration of the first member; all have the same architecture."""
        return self.members[0].config

    def forward(self, **inputs: torch.Tensor) -> SequenceClassifierOutput:
        """The mean of the members' logits, float32, shape (B, labels)."""
        logits = torch.stack([member(**inputs).logits.float() for member in self.members])
        return SequenceClassifierOutput(logits=logits.mean(dim=0))


def members_of(model: Any) -> list[Any]:
    """The classifiers that a judge's model consists of: the members of an ensemble, or the model itself."""
    return list(model.members) if isinstance(model, Ensemble) else [model]
