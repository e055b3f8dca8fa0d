"""Which encoder to take for what: scores on CoLA that others published."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """An encoder of the hub and its published score on CoLA.

    Attributes:
        name: Its name on the hub.
        use: When to take it.
        mcc: MCC on GLUE's dev set (1,043 sentences, in-domain and out-of-domain together), times 100, as published.
        runs: How many trainings that is, as far as the source says.
        source: Where it was published.
    """

    name: str
    use: str
    mcc: str
    runs: str
    source: str


PUBLISHED = (
    Published("microsoft/deberta-v3-large", "the best judge, on a GPU", "75.3", "best", "README of DeBERTa"),
    Published("answerdotai/ModernBERT-large", "long sentences, on a GPU", "71.4", "", "ModernBERT paper, table 5"),
    Published("microsoft/deberta-v3-base", "the best of base size", "69.2", "", "ModernBERT paper, table 5"),
    Published("google/electra-base-discriminator", "nearly as good, faster", "67.7", "median", "README of ELECTRA"),
    Published("FacebookAI/roberta-base", "a common baseline", "63.6", "best", "README of fairseq's RoBERTa"),
    Published(
        "google-bert/bert-base-cased",
        "the size of the notebook chapter's",
        "59.0 ± 1.1",
        "5 seeds",
        "Transformers' Flax examples",
    ),
    Published("google/electra-small-discriminator", "small and fast", "57.0", "median", "README of ELECTRA"),
    Published(
        "distilbert/distilbert-base-uncased", "a common small baseline", "49.1", "", "Transformers' distillation"
    ),
    Published("FacebookAI/xlm-roberta-large", "100 languages", "60.6 on 516", "10 languages", "MELA paper, table 3"),
    Published("microsoft/mdeberta-v3-base", "100 languages, base size", "-", "", "no score found"),
)
"""By published score, the multilingual ones last. Scores of different sources were not measured alike."""
