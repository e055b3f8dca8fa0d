"""The hostile folders: the change in each, and the expected result of loading it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from reliability.folders import (
    Case,
    Place,
    archive,
    bomb,
    both,
    code,
    config,
    flipped,
    hard_link,
    link,
    merged,
    pipe,
    removed,
    snapshot,
    sparse,
    tokens,
    written,
)

REFUSED, LOADS = "refused", "loads"
CACHED = "models--lab--tiny/snapshots/0"
DEEP = b"[" * 200_000 + b"]" * 200_000
WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"


def _pickles() -> Iterator[Case]:
    """Pickles instead of weights, under their own name or that of safetensors; and beside good weights."""
    for name, form in (
        ("pytorch_model.bin", "zip"),
        ("pytorch_model.bin", "raw"),
        ("pytorch_model.bin", "legacy"),
        ("pytorch_model.bin", "7z"),
        ("model.pt", "zip"),
        ("model.pth", "legacy"),
        ("model.ckpt", "zip"),
        ("tf_model.h5", "raw"),
        ("flax_model.msgpack", "raw"),
        ("model.joblib", "raw"),
        ("weights.npy", "npy"),
        ("pytorch_model-00001-of-00002.bin", "zip"),
    ):
        yield Case(f"{name}, {form}, no weights", "encoder", REFUSED, bomb(name, form, instead=WEIGHTS))
    for form in ("zip", "raw", "legacy", "7z", "npy"):
        yield Case(f"{WEIGHTS} that is {form}", "encoder", REFUSED, bomb(WEIGHTS, form, instead=WEIGHTS))
    for name in ("config.json", TOKENIZER, "vocab.txt", "tokenizer_config.json", "special_tokens_map.json"):
        change = both(removed(TOKENIZER), bomb(name)) if name == "vocab.txt" else bomb(name)
        yield Case(f"{name} that is a pickle", "encoder", REFUSED, change)
    for name, form in (
        ("pytorch_model.bin", "zip"),
        ("training_args.bin", "zip"),
        ("optimizer.pt", "legacy"),
        ("scheduler.pt", "zip"),
        ("rng_state.pth", "raw"),
        ("embeddings.npy", "npy"),
        ("data.pkl", "raw"),
        ("tf_model.h5", "raw"),
        ("model.joblib", "raw"),
        ("checkpoints/epoch-1-step-1/optimizer.pt", "zip"),
    ):
        yield Case(f"{name} beside good weights", "encoder", LOADS, bomb(name, form))
        yield Case(f"{name} beside a judge", "run", LOADS, bomb(name, form))


def _configs() -> Iterator[Case]:
    """A config.json that names code, other files, other libraries, or sizes that no machine has."""
    evil = {"AutoConfig": "evil.Evil", "AutoModelForSequenceClassification": "evil.Evil"}
    for changes in (
        {"auto_map": evil},
        {"auto_map": {"AutoModelForSequenceClassification": "lab/repository--evil.Evil"}},
        {"_attn_implementation_internal": "lab/kernels"},
        {"_attn_implementation": "lab/kernels:evil"},
        {"attn_implementation": "lab/kernels"},
        {"experts_implementation": "lab/kernels"},
        {"architectures": ["EvilModel"]},
        {"architectures": [{"evil": "Evil"}]},
        {"architectures": "evil.Evil"},
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
        {"transformers_weights": "{up}/model.safetensors"},
        {"transformers_weights": "pytorch_model.bin"},
        {"custom_pipelines": {"evil": {"impl": "evil.Evil"}}},
        {"per_layer_config": {"0": {"hidden_size": 10**9}}},
        {"model_type": "evil"},
        {"model_type": ["bert"]},
        {"model_type": "llama"},
        {"tokenizer_class": "evil.Evil"},
        {"hidden_size": 10**9},
        {"hidden_size": 65_536, "intermediate_size": 65_536},
        {"hidden_size": -16},
        {"hidden_size": "16"},
        {"hidden_size": [16]},
        {"hidden_size": 24},
        {"num_hidden_layers": 10**6},
        {"num_hidden_layers": 512, "hidden_size": 4096},
        {"num_attention_heads": 0},
        {"num_attention_heads": 3},
        {"num_labels": 10**9},
        {"vocab_size": 10**12},
        {"vocab_size": 4_000_000},
        {"vocab_size": 5},
        {"max_position_embeddings": 10**12},
        {"intermediate_size": 10**9},
        {"type_vocab_size": 10**9},
        {"pad_token_id": 10**9},
        {"hidden_act": "__import__('os').system"},
        {"hidden_dropout_prob": "high"},
        {"chunk_size_feed_forward": 10**9},
    ):
        change = both(code("evil.py"), bomb("pytorch_model.bin"), config(**changes))
        yield Case(f"config.json: {json.dumps(changes)[:70]}", "encoder", REFUSED, change)
    for changes in ({"dtype": "load"}, {"return_dict": False}, {"id2label": {"0": "x" * 9}}, {"_name_or_path": "/"}):
        yield Case(f"config.json: {json.dumps(changes)}", "encoder", LOADS, config(**changes))
    for what, content in (
        ("empty", b""),
        ("deep", b'{"model_type": "bert", "x": ' + DEEP + b"}"),
        ("2 MB", b'{"model_type": "bert"' + b" " * (2 << 20) + b"}"),
        ("a list", b"[]"),
        ("NaN", b'{"model_type": "bert", "layer_norm_eps": NaN}'),
        ("UTF-16", '{"model_type": "bert"}'.encode("utf-16")),
        ("a number of 5,000 digits", b'{"model_type": "bert", "hidden_size": ' + b"9" * 5000 + b"}"),
    ):
        yield Case(f"config.json: {what}", "encoder", REFUSED, written("config.json", content))
    yield Case("config.json: a key twice", "encoder", REFUSED, _key_twice)


def _key_twice(place: Place) -> None:
    """A good file with a repeated key, of which some parsers take the first and some the last value."""
    path = place.folder / "config.json"
    path.write_text(path.read_text("utf-8").replace("{", '{"model_type": "llama",', 1), "utf-8")


def _tokenizers() -> Iterator[Case]:
    """Tokenizer files that name code or other files, or are not what they should be."""
    for changes in (
        {"auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}},
        {"auto_map": ["evil.Evil", None]},
        {"tokenizer_class": "EvilTokenizer"},
        {"tokenizer_class": "T5Tokenizer"},
        {"tokenizer_class": "MistralCommonBackend"},
        {"tokenizer_file": "{outside}/tokenizer.json"},
        {"tokenizer_file": "{up}/tokenizer.json"},
        {"vocab_file": "{outside}/vocab.txt"},
        {"merges_file": "{outside}/secret.txt"},
        {"gguf_file": "{outside}/secret.txt"},
        {"fast_tokenizer_files": ["{up}/tokenizer.0.json", "tokenizer.../../evil.json"]},
        {"init_inputs": ["{outside}/vocab.txt"]},
        {"model_max_length": "long"},
        {"added_tokens_decoder": {"4000000000": {"content": "zebra", "special": True}}},
        {"added_tokens_decoder": {"0": "zebra"}},
        {"pad_token": None},
    ):
        change = both(code("evil.py"), tokens(**changes))
        yield Case(f"tokenizer_config.json: {json.dumps(changes)[:70]}", "encoder", REFUSED, change)
    template = {"chat_template": "{{ cycler.__init__.__globals__.os.popen('touch x').read() }}"}
    for name, key in (
        ("tokenizer_config.json", template),
        ("tokenizer_config.json", {"vocab": {"a": 0}, "merges": []}),
    ):
        yield Case(f"{name}: {json.dumps(key)[:50]}", "encoder", LOADS, merged(name, **key))
    leftover = {"special_tokens_map_file": "{outside}/special_tokens_map.json"}
    yield Case("tokenizer_config.json: an old file's leftover path", "encoder", LOADS, tokens(**leftover))
    for key in ("tokenizer_file", "vocab_file", "gguf_file"):
        change = merged("special_tokens_map.json", **{key: "{outside}/tokenizer.json"})
        yield Case(f"special_tokens_map.json: {key}", "encoder", REFUSED, change)
    yield Case("added_tokens.json", "encoder", REFUSED, merged("added_tokens.json", x="{outside}/vocab.txt"))
    for name in ("chat_template.jinja", "additional_chat_templates/evil.jinja"):
        yield Case(name, "encoder", LOADS, written(name, template["chat_template"]))
    ids = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "cat": 4_000_000_000}
    words = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "vocab": ids}
    for what, changes in (
        ("an id of 4 thousand million", {"model": words | {"max_input_chars_per_word": 100}}),
        ("no model", {"model": None}),
        ("an unknown model", {"model": {"type": "Evil", "vocab": {}}}),
        ("an unknown normalizer", {"normalizer": {"type": "Evil"}}),
        ("a regular expression that does not close", {"pre_tokenizer": _regex("(((")}),
    ):
        yield Case(f"{TOKENIZER}: {what}", "encoder", REFUSED, merged(TOKENIZER, **changes))
    padding = {"strategy": {"Fixed": 10**9}, "direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    change = merged(TOKENIZER, padding=padding | {"pad_to_multiple_of": None})
    yield Case(f"{TOKENIZER}: padding to 1,000,000,000", "run", REFUSED, change)
    yield Case(f"{TOKENIZER}: padding to 1,000,000,000, an encoder", "encoder", LOADS, change)
    for what, content in (("empty", b""), ("deep", DEEP), ("cut", b'{"version": "1.0", "model": {'), ("list", b"[]")):
        yield Case(f"{TOKENIZER}: {what}", "encoder", REFUSED, written(TOKENIZER, content))
    yield Case(f"{TOKENIZER}: 1 GB", "encoder", REFUSED, sparse(TOKENIZER, 1 << 30))


def _regex(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _paths() -> Iterator[Case]:
    """Links, pipes, indexes and archives: names that lead to other files."""
    for name in ("config.json", WEIGHTS, TOKENIZER, "vocab.txt", "tokenizer_config.json"):
        yield Case(f"{name} links out", "encoder", REFUSED, link(name, f"{{outside}}/{name}"))
        yield Case(f"{name} climbs out", "encoder", REFUSED, link(name, f"{{up}}/{name}"))
    yield Case("special_tokens_map.json links out", "encoder", REFUSED, link("special_tokens_map.json", "/etc/passwd"))
    yield Case("a link to a link out", "encoder", REFUSED, both(link("a", "{up}/vocab.txt"), link("vocab.txt", "a")))
    yield Case("a folder that links out", "encoder", REFUSED, link("onnx", "/"))
    yield Case(
        "a template that links out", "encoder", REFUSED, both(written("t/a", ""), link("t/b.jinja", "/etc/hosts"))
    )
    yield Case("a link to nothing", "encoder", REFUSED, link("vocab.txt", "nowhere"))
    yield Case("a link to itself", "encoder", REFUSED, link("vocab.txt", "vocab.txt"))
    yield Case("a link that stays", "encoder", LOADS, link("added", "vocab.txt"))
    yield Case("weights that are /dev/zero", "encoder", REFUSED, link(WEIGHTS, "/dev/zero"))
    for name in ("config.json", WEIGHTS, TOKENIZER):
        yield Case(f"{name} is a pipe", "encoder", REFUSED, pipe(name))
        yield Case(
            f"{name} is a folder", "encoder", REFUSED, both(removed(name, "vocab.txt"), written(f"{name}/a", ""))
        )
        yield Case(f"{name} is a secret's second name", "encoder", REFUSED, hard_link(name, "secret.txt"))
    yield Case("judge.json links out", "run", REFUSED, link("judge.json", "{outside}/secret.txt"))
    yield Case("manifest.json links out", "run", REFUSED, link("manifest.json", "{outside}/secret.txt"))
    index = {"metadata": {}, "weight_map": {"embeddings.word_embeddings.weight": "{up}/model.safetensors"}}
    for name in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        yield Case(f"{name} beside", "encoder", LOADS, merged(name, **index))
        yield Case(f"{name} alone", "encoder", REFUSED, both(merged(name, **index), removed(WEIGHTS)))
    adapter = {"base_model_name_or_path": "{outside}", "peft_type": "LORA", "auto_mapping": {"parent_library": "evil"}}
    change = both(code("evil.py"), merged("adapter_config.json", **adapter), bomb("adapter_model.bin"))
    yield Case("an adapter of a model elsewhere", "encoder", LOADS, change)
    yield Case(
        "Python files", "encoder", LOADS, both(code("modeling_bert.py"), code("sitecustomize.py"), code("torch.py"))
    )
    yield Case("a zip with ..", "encoder", REFUSED, archive("zip"))
    yield Case("a tar with a link", "encoder", REFUSED, archive("tar"))
    yield Case("a zip for a folder", "encoder", REFUSED, archive("zip", alone=True), "model.zip")
    yield Case("a zip for a run", "run", REFUSED, archive("zip", alone=True), "run.zip")
    yield Case("the hub's cache", "encoder", LOADS, snapshot(), CACHED)
    yield Case("the hub's cache, shared blobs", "encoder", LOADS, snapshot(shared=True), CACHED)
    yield Case("the hub's cache with a link out", "encoder", REFUSED, snapshot(escapes=True), CACHED)
    yield Case("no cache, but built like one", "encoder", REFUSED, snapshot(), "lab/snapshots/0")


def _runs() -> Iterator[Case]:
    """Runs whose files contradict each other."""
    for what, changes in (
        ("labels in one text", {"labels": "ab"}),
        ("100,000 labels", {"labels": [f"l{n}" for n in range(70_000)]}),
        ("three labels", {"labels": ["a", "b", "c"]}),
        ("a label twice", {"labels": ["a", "a"]}),
        ("labels that are no text", {"labels": [0, 1]}),
        ("inputs of 10^9", {"max_length": 10**9}),
        ("no length", {"max_length": "32"}),
        ("no encoder", {"encoder": None}),
        ("another encoder's hash", {"encoder": {"name": "tiny", "sha256": "0" * 64}}),
    ):
        yield Case(f"judge.json: {what}", "run", REFUSED, merged("judge.json", **changes))
        if what != "another encoder's hash":  # with a manifest that agrees, so that the content itself is refused
            yield Case(f"judge.json: {what}, vouched for", "run", REFUSED, _vouched(changes))
    yield Case("judge.json: deep", "run", REFUSED, written("judge.json", b'{"labels": ' + DEEP + b"}"))
    yield Case("judge.json: a pickle", "run", REFUSED, bomb("judge.json"))
    yield Case("train_hashes.safetensors: a pickle", "run", REFUSED, bomb("train_hashes.safetensors"))
    yield Case("no manifest", "run", REFUSED, removed("manifest.json"))
    for what, files in (("nothing", {}), ("a list", ["judge.json"]), ("numbers", {"judge.json": 1})):
        yield Case(f"a manifest of {what}", "run", REFUSED, merged("manifest.json", files=files))
    for name in ("tokenizers/../{up}/secret.txt", "tokenizers/../../../../../../../../../../../../etc/passwd"):
        change = both(written("tokenizers/a", ""), _listed(name))
        yield Case(f"a manifest that names {name}", "run", REFUSED, change)
    places = ((WEIGHTS, -1), (WEIGHTS, 100), ("config.json", 20), (TOKENIZER, 50), ("judge.json", 20))
    for name, at in (*places, ("train_hashes.safetensors", -1)):
        yield Case(f"{name}: a bit at {at}", "run", REFUSED, flipped(name, at))
    yield Case("weights of another model", "run", REFUSED, both(removed(WEIGHTS), hard_link(WEIGHTS, WEIGHTS)))


def _listed(name: str) -> Any:
    def change(place: Place) -> None:
        manifest = json.loads((place.folder / "manifest.json").read_text("utf-8"))
        manifest["files"][place.named(name)] = "0" * 64
        (place.folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")

    return change


def _vouched(changes: dict[str, Any]) -> Any:
    def change(place: Place) -> None:
        from acceptor.storage.manifest import file_sha256

        merged("judge.json", **changes)(place)
        manifest = json.loads((place.folder / "manifest.json").read_text("utf-8"))
        manifest["files"]["judge.json"] = file_sha256(place.folder / "judge.json")
        (place.folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")

    return change


def folder_cases() -> list[Case]:
    """Every hostile folder."""
    return [*_pickles(), *_configs(), *_tokenizers(), *_paths(), *_runs()]
