"""`described`: what programs and pages are told of a judge."""

from __future__ import annotations

from pathlib import Path

from acceptor.data.labels import names_good_label, positive_label
from acceptor.judging.judge import Judge
from acceptor.text import Json


def described(judge: Judge, name: str, precision: str) -> Json:
    """What a server's ``/v1/models`` and the page of an export say of a judge.

    Args:
        judge: The judge.
        name: What they call it.
        precision: What it computes in.
    """
    return {
        "name": name,
        "labels": list(judge.labels),
        "positive": judge.labels[positive_label(judge.labels)],
        "acceptable": names_good_label(judge.labels),
        "inputs": judge.inputs,
        **judge.decision.to_dict(),
        "max_length": judge.max_length,
        "encoder": Path(judge.encoder["name"]).name,  # of a folder, its last part
        "precision": precision,
    }
