"""Acceptor: from labelled sentences to a judge that can be trusted.

The public names are loaded when they are first used: importing `acceptor` imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from acceptor.runtime.spinning import bound_spinning

bound_spinning()  # before torch is loaded, which reads it once

if TYPE_CHECKING:
    from acceptor.config import PRESETS, TrainConfig
    from acceptor.data.annotations import read_annotations
    from acceptor.data.auditing.audit import audit
    from acceptor.data.auditing.findings import findings
    from acceptor.data.load import load_data
    from acceptor.data.table import Data, Split
    from acceptor.errors import (
        AcceptorError,
        DataError,
        EncoderError,
        RequestError,
        ResourceError,
        RunError,
        TrainingError,
        UsageError,
    )
    from acceptor.evaluation.compare import Comparison, compare
    from acceptor.evaluation.evaluate import Report, Scores, evaluate
    from acceptor.evaluation.pairs import PairsReport, pairs
    from acceptor.evaluation.slices import slices
    from acceptor.evaluation.words import Explanation, explain
    from acceptor.experiments.distil import distil
    from acceptor.experiments.ensemble import ensemble
    from acceptor.experiments.folds import Folds, cross_validate
    from acceptor.experiments.search import Search, search_settings
    from acceptor.experiments.seeds import Seeds, train_seeds
    from acceptor.experiments.warmup import warm_up
    from acceptor.exporting.export import export
    from acceptor.exporting.verify import Export
    from acceptor.judging.judge import Judge
    from acceptor.judging.load import load
    from acceptor.judging.predict import predict
    from acceptor.judging.tally import Tally
    from acceptor.judging.verdicts import Verdict
    from acceptor.report.html import write_report
    from acceptor.serve.client import AsyncClient, Client
    from acceptor.training.train import Run, resume, train

_HOMES = {
    "PRESETS": "config",
    "TrainConfig": "config",
    "read_annotations": "data.annotations",
    "audit": "data.auditing.audit",
    "findings": "data.auditing.findings",
    "load_data": "data.load",
    "Data": "data.table",
    "Split": "data.table",
    "AcceptorError": "errors",
    "DataError": "errors",
    "EncoderError": "errors",
    "RequestError": "errors",
    "ResourceError": "errors",
    "RunError": "errors",
    "TrainingError": "errors",
    "UsageError": "errors",
    "Comparison": "evaluation.compare",
    "compare": "evaluation.compare",
    "Report": "evaluation.evaluate",
    "Scores": "evaluation.evaluate",
    "evaluate": "evaluation.evaluate",
    "slices": "evaluation.slices",
    "Export": "exporting.verify",
    "export": "exporting.export",
    "Folds": "experiments.folds",
    "cross_validate": "experiments.folds",
    "PairsReport": "evaluation.pairs",
    "pairs": "evaluation.pairs",
    "Explanation": "evaluation.words",
    "explain": "evaluation.words",
    "Judge": "judging.judge",
    "Verdict": "judging.verdicts",
    "load": "judging.load",
    "predict": "judging.predict",
    "Tally": "judging.tally",
    "Run": "training.train",
    "resume": "training.train",
    "train": "training.train",
    "Seeds": "experiments.seeds",
    "train_seeds": "experiments.seeds",
    "distil": "experiments.distil",
    "ensemble": "experiments.ensemble",
    "warm_up": "experiments.warmup",
    "Search": "experiments.search",
    "search_settings": "experiments.search",
    "write_report": "report.html",
    "AsyncClient": "serve.client",
    "Client": "serve.client",
}

__version__ = "0.3.0.dev0"
__all__ = [
    "PRESETS",
    "AcceptorError",
    "AsyncClient",
    "Client",
    "Comparison",
    "Data",
    "DataError",
    "EncoderError",
    "Explanation",
    "Export",
    "Folds",
    "Judge",
    "PairsReport",
    "Report",
    "RequestError",
    "ResourceError",
    "Run",
    "RunError",
    "Scores",
    "Search",
    "Seeds",
    "Split",
    "Tally",
    "TrainConfig",
    "TrainingError",
    "UsageError",
    "Verdict",
    "audit",
    "compare",
    "cross_validate",
    "distil",
    "ensemble",
    "evaluate",
    "explain",
    "export",
    "findings",
    "load",
    "load_data",
    "pairs",
    "predict",
    "read_annotations",
    "resume",
    "search_settings",
    "slices",
    "train",
    "train_seeds",
    "warm_up",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'acceptor' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"acceptor.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        from acceptor.errors import check_installed

        check_installed(str(error.name))
        raise


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
