"""Root 7: folders from the hub and from other libraries, and folders that have a hub's or a corpus' name."""

from __future__ import annotations

import json

from reliability.inputs.case import Case, any_of, asserts, refused, shows
from reliability.inputs.layouts import simple, tsv
from reliability.inputs.machines import CORPUS, HEAD, TRAIN
from reliability.inputs.programs import (
    MODULE,
    OLD_SENTENCE_TRANSFORMERS,
    PART_OF_A_SNAPSHOT,
    PLAIN_CLASSIFIER,
    SNAPSHOT,
    with_words,
)


def cases() -> list[Case]:
    """All of them."""
    judge = "$ACCEPTOR judge {target} 'the cats sleep.' --json"
    loads = shows("acceptable")
    named = ".*"
    named_labels = ", id2label={0: 'ham', 1: 'spam'}, label2id={'ham': 0, 'spam': 1}"
    plain_hf = with_words(PLAIN_CLASSIFIER, NAMES=named_labels, ALLOWED="False")
    unnamed = with_words(PLAIN_CLASSIFIER, NAMES="", ALLOWED="True")
    lora = json.dumps({"peft_type": "LORA", "base_model_name_or_path": "bert-base-uncased", "task_type": "SEQ_CLS"})
    anything = refused("LoRA|adapter", error=named)
    return [
        Case(
            7,
            "a run folder as a hub snapshot (links to blobs) loads",
            with_words(SNAPSHOT, FROM="{run}") + judge.replace("{target}", "hub/models--me--judge/snapshots/abc"),
            loads,
            process=True,
        ),
        Case(
            7,
            "a hub cache with part of a snapshot, offline: what is missing is reported",
            PART_OF_A_SNAPSHOT,
            refused("offline|HF_HUB_OFFLINE|missing|incomplete|part|download", error=named),
            CORPUS,
            process=True,
        ),
        Case(7, "`module.` prefixes (DataParallel) are understood", with_words(MODULE), asserts, slow=True),
        Case(
            7,
            "a LoRA adapter as RUN is named",
            "acceptor judge lora 'the cats sleep.' --json",
            anything,
            {"lora/adapter_config.json": lora, "lora/adapter_model.safetensors": b"\0" * 16},
        ),
        Case(
            7,
            "a LoRA adapter as encoder is named",
            f"acceptor train x.tsv {TRAIN.replace('{encoder}', 'lora')} --json",
            anything,
            {**CORPUS, "lora/adapter_config.json": lora, "lora/adapter_model.safetensors": b"\0" * 16},
        ),
        Case(
            7,
            "sentence-transformers' old layout as encoder: read or named",
            OLD_SENTENCE_TRANSFORMERS + f"$ACCEPTOR train x.tsv {TRAIN.replace('{encoder}', 'st')} --json --out out",
            any_of(shows("acceptable"), refused("0_Transformer", error=named)),
            CORPUS,
            process=True,
        ),
        Case(
            7,
            "sentence-transformers' folder as RUN is named",
            OLD_SENTENCE_TRANSFORMERS + judge.replace("{target}", "st"),
            refused("sentence-transformers|0_Transformer|encoder", error=named),
            process=True,
        ),
        Case(7, "a plain Hugging Face classifier as RUN judges", plain_hf, asserts, slow=True),
        Case(7, "the same with LABEL_0, LABEL_1: judged or asked", unnamed, asserts, slow=True),
        Case(
            7,
            "an encoder as RUN is named",
            "acceptor judge {encoder} 'the cats sleep.' --json",
            refused("encoder|not a run|train", error=named),
        ),
        Case(
            7,
            "pickled weights alone as RUN are named",
            "acceptor judge bin 'the cats sleep.' --json",
            refused("pickle|pytorch_model.bin|safetensors", error=named),
            {
                "bin/config.json": '{"model_type": "bert", "architectures": ["BertForSequenceClassification"]}',
                "bin/pytorch_model.bin": b"PK\x03\x04",
            },
        ),
        Case(
            7,
            "an empty folder that shadows a hub name is reported",
            "sh -c mkdir -p bert-base-uncased; $ACCEPTOR train x.tsv "
            + TRAIN.replace("{encoder}", "bert-base-uncased")
            + " --json",
            refused("folder", "empty", error=named),
            CORPUS,
            process=True,
        ),
        Case(
            7,
            "./starter beside the corpus starter is reported",
            "acceptor audit starter --json",
            shows("starter", "corpus", "\\./starter|folder|file"),
            {"starter/train.tsv": tsv(HEAD, simple())},
        ),
        Case(
            7,
            "./cola beside the corpus cola is reported",
            "acceptor audit cola --json",
            any_of(refused("\\./cola"), shows("\\./cola|folder")),
            {"cola/train.tsv": tsv(HEAD, simple())},
        ),
        Case(
            7,
            "./starter by its path is the folder",
            "acceptor audit ./starter --json",
            lambda result: "" if result.json.get("train", {}).get("rows") == 48 else result.text[:160],
            {"starter/train.tsv": tsv(HEAD, simple())},
        ),
    ]
