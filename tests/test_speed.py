"""The fast path gives the plain path's results: gradients, AdamW, dropout, verdicts; and bf16 loses no update."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import acceptor
from acceptor import native
from acceptor.config import ResolvedConfig, TrainConfig
from acceptor.judging.decision import Decision
from acceptor.model.batches import collate, epoch_batches
from acceptor.model.classifier import new_classifier
from acceptor.model.dropout import DropoutMasks
from acceptor.model.encode import encode
from acceptor.model.layer import Dense, FastLayer, LayerWeights, Norm
from acceptor.model.network import LAYER_WEIGHTS, judging_network
from acceptor.model.pretrained import find_encoder
from acceptor.model.tokenizer import load_tokenizer
from acceptor.native import matmul
from acceptor.runtime import device as runtime
from acceptor.training.flat_adamw import FlatAdamW
from acceptor.training.loop import EpochEnd, fit
from acceptor.training.schedule import learning_rate
from conftest import COLA, needs_cola, needs_minilm, toy_rows
from tiny import ARCHITECTURES, make_encoder

CONFIG = ResolvedConfig(epochs=2, batch_size=8, learning_rate=1e-3, weight_decay=0.5, max_grad_norm=0.3, order="random")


def untrained(architecture, folder):
    """A tiny judge without dropout."""
    encoder = find_encoder(str(make_encoder(folder / architecture, architecture)))
    model = new_classifier(encoder, ("no", "yes"), seed=1)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return acceptor.Judge(
        model,
        load_tokenizer(encoder.folder),
        ("no", "yes"),
        64,
        runtime.choose_runtime("cpu", "fp32"),
        {"name": "tiny"},
    )


def plain_training(model, train, gold, pad_id):
    """The usual loop: Transformers' model, torch's AdamW in two groups, torch's clipping."""
    model = copy.deepcopy(model).train()
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": CONFIG.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0, betas=(0.9, CONFIG.adam_beta2), eps=1e-8)
    total = CONFIG.epochs * math.ceil(len(train) / CONFIG.batch_size)
    losses, step = [], 0
    for epoch in range(1, CONFIG.epochs + 1):
        for rows in epoch_batches(train.lengths, CONFIG, epoch):
            for group in groups:
                group["lr"] = learning_rate(step, total, CONFIG)
            loss = cross_entropy(model(**collate(train, rows, pad_id)).logits, torch.from_numpy(gold[rows]))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CONFIG.max_grad_norm)
            optimizer.step()
            losses.append(loss.item())
            step += 1
    return model, losses


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_two_epochs_equal_the_plain_loop(architecture, tmp_path):
    """Every weight after ten clipped, decaying steps, rows of the vocabulary that no sentence uses included."""
    judge = untrained(architecture, tmp_path)
    pad_id = judge.tokenizer.pad_token_id
    rows = toy_rows(40)
    train = encode(judge.tokenizer, [sentence for sentence, _ in rows], max_length=64)
    gold = np.array([int(label) for _, label in rows])
    expected, losses = plain_training(judge.model, train, gold, pad_id)
    optimizer = FlatAdamW(judge.model, CONFIG, bf16=False, ids=train.ids, pad_id=pad_id)
    events = list(fit(judge, optimizer, train, gold, train, CONFIG))
    assert [event.loss for event in events if not isinstance(event, EpochEnd)] == pytest.approx(losses, abs=1e-4)
    assert len(optimizer.rows.used) < judge.model.get_input_embeddings().num_embeddings
    for (name, mine), theirs in zip(judge.model.named_parameters(), expected.parameters(), strict=True):
        # A gradient that is zero except for rounding (such as a key's bias) moves AdamW by up to a step either way.
        tolerance = 2e-2 if mine.ndim < 2 else 1e-3
        assert (mine - theirs).abs().max() < tolerance, name
        assert (mine - theirs).abs().mean() < tolerance / 20, name


@pytest.mark.parametrize("architecture", sorted(LAYER_WEIGHTS.keys() & ARCHITECTURES.keys()))
@pytest.mark.parametrize("padded", [False, True])
def test_gradients_equal_autograds(architecture, padded, tmp_path):
    judge = untrained(architecture, tmp_path)
    train = encode(
        judge.tokenizer,
        ["the cats sleep", "John see the book in the garden" if padded else "the cats sleep"],
        max_length=64,
    )
    batch = collate(train, np.array([0, 1]), judge.tokenizer.pad_token_id)
    assert bool((batch["attention_mask"] == 0).any()) == padded
    plain = copy.deepcopy(judge.model).train()
    plain(**batch).logits.square().sum().backward()
    optimizer = FlatAdamW(judge.model, CONFIG, bf16=False, ids=train.ids, pad_id=judge.tokenizer.pad_token_id)
    optimizer.network.train()
    optimizer.start_step(0)
    optimizer.network(**batch).logits.square().sum().backward()
    table = plain.get_input_embeddings().weight
    for (name, theirs), own in zip(plain.named_parameters(), judge.model.parameters(), strict=True):
        row = theirs is table
        place = optimizer.rows.weight if row else own  # a view of the flat weights: its gradient is at the same offset
        start = (place.data_ptr() - optimizer.master_weights.data_ptr()) // 4
        mine = optimizer.grad[start : start + place.numel()].view_as(place)
        expected = theirs.grad[optimizer.rows.used] if row else theirs.grad
        assert (mine - expected).abs().max() < 1e-5 + 1e-4 * expected.abs().max(), name


@pytest.mark.parametrize("first_only", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_with_dropout_equal_autograds(first_only, masked):
    """One layer with position bias and large dropout, fp64, against the formulas in plain torch with the same masks."""
    torch.manual_seed(0)
    d, wide, heads, count, length = 16, 32, 2, 3, 5
    sizes = {"qkv": (d, 3 * d), "out": (d, d), "up": (d, wide), "down": (wide, d)}
    modules = {name: torch.nn.Linear(*size, dtype=torch.float64) for name, size in sizes.items()}
    modules |= {name: torch.nn.LayerNorm(d, dtype=torch.float64) for name in ("norm1", "norm2")}
    weights = [weight for module in modules.values() for weight in module.parameters()]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    dense = {name: Dense(modules[name]) for name in sizes}
    norms = {name: Norm(modules[name]) for name in ("norm1", "norm2")}
    parts = LayerWeights(**dense, **norms, heads=heads, drop_attention=0.3, drop_out=0.2, drop_down=0.25)
    x = torch.randn(count, length, d, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(count, heads, length, length, dtype=torch.float64, requires_grad=True)
    real = torch.ones(count, 1, length, length, dtype=torch.bool)
    real[1, :, :, 3:] = not masked
    dropout_masks = DropoutMasks()
    dropout_masks.start(1, 2, 3)
    layer = FastLayer(parts, dropout_masks, first_only=first_only, as_tuple=False).train()
    out = layer(x, real if masked else None, bias)
    pull = torch.randn_like(out)
    (out * pull).sum().backward()
    mine = [x.grad, bias.grad, *(weight.grad for weight in weights)]

    for leaf in (x, bias, *weights):
        leaf.grad = None
    dropout_masks.start(1, 2, 3)
    queries = 1 if first_only else length
    q, k, v = modules["qkv"](x).view(count, length, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
    scores = q[:, :, :queries] @ k.transpose(-1, -2) * (d // heads) ** -0.5 + bias[:, :, :queries]
    probs = scores.masked_fill(~real[:, :, :queries], -torch.inf).softmax(-1)
    context = (probs * dropout_masks.draw(probs, 0.3) @ v).transpose(1, 2).reshape(-1, d)
    residual = x[:, 0] if first_only else x.reshape(-1, d)
    y = modules["norm1"](modules["out"](context) * dropout_masks.draw(context, 0.2) + residual)
    inner = modules["down"](torch.nn.functional.gelu(modules["up"](y)))
    expected = modules["norm2"](inner * dropout_masks.draw(y, 0.25) + y).view_as(out)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    (expected * pull).sum().backward()
    for own, theirs in zip(mine, [x.grad, bias.grad, *(weight.grad for weight in weights)], strict=True):
        torch.testing.assert_close(own, theirs, atol=1e-5, rtol=1e-5)


def test_small_updates_are_not_lost_in_bf16(tmp_path):
    """At 2e-5 a weight of 1 moves by less than bf16's resolution; a hundred such steps must still add up."""
    judge = untrained("bert", tmp_path)
    config = ResolvedConfig(epochs=1, learning_rate=2e-5, weight_decay=0.0)
    optimizer = FlatAdamW(judge.model, config, bf16=True, ids=np.array([5], dtype=np.int32), pad_id=0)
    gain = judge.model.bert.embeddings.LayerNorm.weight
    seen = optimizer.network.bert.embeddings.LayerNorm.weight
    assert seen.dtype == torch.bfloat16
    assert gain.dtype == torch.float32
    for _ in range(100):
        optimizer.grad.fill_(1.0)
        optimizer.step(2e-5, check=False)
    # A hundred roundings of fp32 near 1, of 3e-8 each, against a change of 2e-3.
    torch.testing.assert_close(gain, torch.full_like(gain, 1 - 100 * 2e-5), atol=5e-6, rtol=0)
    alone = torch.ones(1, dtype=torch.bfloat16)
    for _ in range(100):
        alone -= 2e-5
    assert alone.item() == 1.0  # what would happen without fp32 weights


def both_ways(monkeypatch, function):
    """The result with the compiled kernels, and without."""
    native.library.cache_clear()
    compiled = function()
    loaded, reason = native.library()
    if loaded is None:
        pytest.skip(reason)
    monkeypatch.setenv("ACCEPTOR_NATIVE", "0")
    native.library.cache_clear()
    assert native.library()[0] is None
    plain = function()
    monkeypatch.delenv("ACCEPTOR_NATIVE")
    native.library.cache_clear()
    return compiled, plain


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("clip_scale", [None, torch.tensor(3.0)])
def test_the_compiled_adamw_is_torchs(dtype, clip_scale, monkeypatch):
    def train():
        rng = torch.Generator().manual_seed(1)
        master = torch.randn(300_001, generator=rng)
        network = master if dtype == torch.float32 else master.to(dtype)
        exp_avg, exp_avg_sq = torch.zeros_like(master), torch.zeros_like(master)
        for step in range(1, 6):
            grad = torch.randn(300_001, generator=rng).to(dtype)
            native.adamw_step(
                master,
                network,
                grad,
                exp_avg,
                exp_avg_sq,
                step=step,
                rate=1e-2,
                weight_decay=0.3,
                beta2=0.98,
                clip_scale=clip_scale,
            )
        return master, network.float(), exp_avg, exp_avg_sq

    for compiled, plain in zip(*both_ways(monkeypatch, train), strict=True):
        torch.testing.assert_close(compiled, plain, atol=1e-6, rtol=1e-5 if dtype == torch.float32 else 1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("skip", [0.0, 1.0])
def test_a_step_to_skip_changes_nothing(skip, dtype):
    def after(**skipped):
        rng = torch.Generator().manual_seed(1)
        master = torch.randn(1000, generator=rng).to(dtype).float()
        network = master if dtype == torch.float32 else master.to(dtype)
        arrays = (master, network, torch.randn(1000, generator=rng).to(dtype), torch.ones(1000), torch.ones(1000))
        before = [array.clone() for array in arrays]
        native.adamw_step(*arrays, step=3, rate=1e-2, weight_decay=0.3, beta2=0.98, clip_scale=None, **skipped)
        return before, arrays

    before, found = after(skip=torch.tensor(skip))
    expected = before if skip else after()[1]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=0 if skip else 1e-6, rtol=0 if skip else 1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_compiled_norm_and_masks_are_the_plain_ones(dtype, monkeypatch):
    grad = torch.randn(1_000_003).to(dtype)
    compiled, plain = both_ways(monkeypatch, lambda: native.sum_of_squares(grad))
    assert compiled.item() == pytest.approx(plain.item(), rel=1e-5)
    assert compiled.item() == pytest.approx(grad.double().square().sum().item(), rel=1e-5)
    compiled, plain = both_ways(monkeypatch, lambda: native.dropout_mask(100_001, 0.1, (5, 2**32 - 1), dtype))
    assert torch.equal(compiled, plain)
    assert compiled.dtype == dtype


def test_a_broken_compiler_is_survived(monkeypatch, tmp_path):
    monkeypatch.setenv("ACCEPTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(native, "FLAGS", ("--no-such-flag",))
    native.library.cache_clear()
    loaded, reason = native.library()
    native.library.cache_clear()
    assert loaded is None
    assert "torch instead" in reason
    assert not list((tmp_path / "cache").rglob("*.so"))


def test_dropout_keeps_means_and_follows_seed_step_and_process():
    dropout_masks = DropoutMasks()
    dropout_masks.start(7, 3, 0)
    mask = dropout_masks.draw(torch.empty(1000, 999), 0.1)
    assert mask.unique().tolist() == pytest.approx([0.0, 1 / 0.9], rel=1e-6)
    assert (mask == 0).float().mean().item() == pytest.approx(0.1, abs=0.0015)  # five standard errors
    assert mask.mean().item() == pytest.approx(1.0, abs=0.0017)
    again = {}
    for key in [(7, 3, 0), (7, 4, 0), (8, 3, 0), (7, 3, 1)]:
        dropout_masks.start(*key)
        again[key] = dropout_masks.draw(torch.empty(1000, 999), 0.1), torch.rand(5)
    assert torch.equal(again[7, 3, 0][0], mask)
    for key in [(7, 4, 0), (8, 3, 0), (7, 3, 1)]:
        assert not torch.equal(again[key][0], mask), key
        assert not torch.equal(again[key][1], again[7, 3, 0][1]), key


def test_a_trained_network_drops(toy, toy_run):
    """In training mode two steps have different dropout masks; in evaluation mode dropout is off."""
    model = copy.deepcopy(toy_run.judge.model)
    train = toy_run.judge.encode(toy.train.sentences[:4])
    optimizer = FlatAdamW(model, CONFIG, bf16=False, ids=train.ids, pad_id=toy_run.judge.tokenizer.pad_token_id)
    batch = collate(train, np.arange(4), toy_run.judge.tokenizer.pad_token_id)
    logits = {}
    for training in (True, False):
        optimizer.network.train(training)
        for step in (0, 1):
            optimizer.steps = step
            optimizer.start_step(0)
            with torch.no_grad():
                logits[training, step] = optimizer.network(**batch).logits
    assert not torch.equal(logits[True, 0], logits[True, 1])
    assert torch.equal(logits[False, 0], logits[False, 1])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_threads_judge_as_one_thread_does(architecture, tmp_path):
    judge = untrained(architecture, tmp_path)
    sentences = [sentence for sentence, _ in toy_rows(600)]
    alone = judge.logits(sentences)
    torch.set_num_threads(2)
    try:
        heard, workers = [], set()

        def hear(rows):
            heard.append(rows)
            workers.add(threading.current_thread())

        together = judge.logits_of(judge.encode(sentences), hear)
        assert threading.main_thread() not in workers
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert sorted(np.concatenate(heard)) == list(range(600))
    np.testing.assert_allclose(together, alone, atol=1e-6)
    judge.logits(sentences)
    assert torch.get_num_threads() == 1  # as it was set since


THREADS_THAT_FAIL = """
import itertools, sys, threading
from acceptor.model.scorer import Scorer

broken, number = sys.argv[1], int(sys.argv[2])
starts, inits, start = itertools.count(), itertools.count(), threading.Thread.start

def limited(thread):
    if broken == "start" and next(starts) == number:
        raise RuntimeError("can't start new thread")
    start(thread)

def init():
    if broken == "init" and next(inits) == number:
        raise RuntimeError("no room for a thread")

threading.Thread.start = limited
scorer, judged = Scorer(lambda inputs: inputs, lambda: 3, init), []
try:
    scorer.run(judged.append, [1, 2, 3])
except RuntimeError as error:
    print(len(judged), type(error).__name__)
scorer.run(judged.append, [1, 2, 3])
print(sorted(judged))
"""


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize(("broken", "error"), [("start", "RuntimeError"), ("init", "BrokenThreadPool")])
def test_threads_that_cannot_start_are_an_error_and_not_a_hang(broken, error, number):
    """As under a limit of processes. The next call tries again, and the process can end."""
    command = [sys.executable, "-c", THREADS_THAT_FAIL, broken, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"0 {error}\n[1, 2, 3]\n", done.stderr


def test_torch_has_its_threads_again_after_an_error(toy_run):
    def stop(rows):
        raise KeyError

    encoded = toy_run.judge.encode([sentence for sentence, _ in toy_rows(600)])
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError):
            toy_run.judge.logits_of(encoded, stop)
        with ThreadPoolExecutor(1) as elsewhere:  # a new thread starts with the number that was set last in any thread
            assert elsewhere.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(1)


def in_bf16(judge, *, lossless):
    return dataclasses.replace(judge, runtime=dataclasses.replace(judge.runtime, precision="bf16"), lossless=lossless)


def test_bf16_is_near_and_lossless_keeps_labels(toy_run):
    judge = toy_run.judge
    sentences = [sentence for sentence, _ in toy_rows(500, seed=5)]
    exact = judge.logits(sentences)
    rough = in_bf16(judge, lossless=False).logits(sentences)
    settled = in_bf16(judge, lossless=True).logits(sentences)
    assert 0 < np.abs(rough - exact).max() < 0.1 * np.abs(exact).max()
    assert (settled.argmax(1) == exact.argmax(1)).all()
    settled_rows = (settled != rough).any(1)
    assert settled_rows.sum() + (rough == exact).all(1).sum() >= 64
    np.testing.assert_allclose(settled[settled_rows], exact[settled_rows], atol=1e-5)
    few = sentences[:64]
    np.testing.assert_allclose(in_bf16(judge, lossless=True).logits(few), judge.logits(few), atol=1e-6)


def test_a_judge_of_coin_flips_is_settled_in_full(tmp_path):
    """Margins within bf16's rounding, around 0 for half of the sentences: bf16 alone flips some."""
    judge = untrained("bert", tmp_path)
    with torch.no_grad():
        judge.model.classifier.weight[1] = -judge.model.classifier.weight[0]
        rows = judge.logits([sentence for sentence, _ in toy_rows(300)])
        judge.model.classifier.bias.copy_(torch.from_numpy(-np.median(rows, axis=0)))
    judge = dataclasses.replace(judge)
    sentences = [sentence for sentence, _ in toy_rows(1500)]  # some are so close in any vocabulary
    exact = judge.logits(sentences)
    rough, settled = (in_bf16(judge, lossless=lossless).logits(sentences) for lossless in (False, True))
    assert (rough.argmax(1) != exact.argmax(1)).any()
    np.testing.assert_array_equal(settled.argmax(1), exact.argmax(1))
    # Only margins close to the threshold are close: with a threshold far from all of them none is.
    with torch.no_grad():
        judge.model.classifier.bias[1] += 3
    judge = dataclasses.replace(judge, decision=Decision(threshold=float(1 / (1 + np.exp(-3)))))
    exact, settled = judge.logits(sentences), in_bf16(judge, lossless=True).logits(sentences)
    np.testing.assert_array_equal(judge.decision.label_ids(settled), judge.decision.label_ids(exact))


def test_the_probe_is_cached_and_decides(monkeypatch, tmp_path):
    monkeypatch.setenv("ACCEPTOR_CACHE", str(tmp_path))
    assert runtime.bf16_speedup() > 0
    (cached,) = tmp_path.iterdir()
    (machine,) = json.loads(cached.read_text())
    cached.write_text(json.dumps({machine: 7.5}))
    assert runtime.bf16_speedup() == 7.5
    assert runtime.choose_runtime("cpu").precision == "bf16"
    cached.write_text("{ broken")
    assert runtime.bf16_speedup() != 7.5
    assert list(json.loads(cached.read_text())) == [machine]
    cached.write_text(json.dumps({machine: 0.01}))
    assert runtime.choose_runtime("cpu").precision == "fp32"
    assert runtime.choose_runtime("cpu", "bf16").precision == "bf16"


@pytest.mark.real
@needs_minilm
@needs_cola
def test_minilm_in_bf16_flips_no_label_of_cola(tmp_path):
    data = acceptor.load_data("cola", folder=COLA / "raw")
    few = acceptor.Data(data.train.take(range(1280), "train"), data.validation, data.test)
    config = TrainConfig(encoder="minilm", epochs=1, learning_rate=1e-4, precision="bf16")
    run = acceptor.train(few, out=tmp_path / "run", config=config)
    exact = acceptor.load(run.folder, precision="fp32").logits(data.test.sentences)
    settled = acceptor.load(run.folder, precision="lossless").runtime  # fp32 here: see conftest
    assert settled.precision == "fp32"
    own = in_bf16(acceptor.load(run.folder), lossless=True)
    np.testing.assert_array_equal(own.logits(data.test.sentences).argmax(1), exact.argmax(1))
    plain = judging_network(run.judge.model, precision="fp32")
    assert plain is not run.judge.model


def test_gradients_of_other_processes_rows_are_cleared(tmp_path, monkeypatch):
    """Gradients that others added to rows that this process did not use must be cleared for the next step."""
    judge = untrained("bert", tmp_path)
    optimizer = FlatAdamW(judge.model, CONFIG, bf16=False, ids=np.arange(9, dtype=np.int32), pad_id=0)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda grad: grad.add_(1))
    optimizer.start_step(0)
    optimizer.sum_over_processes()
    assert (optimizer.network.get_input_embeddings().weight.grad == 1).all()
    optimizer.start_step(0)
    assert (optimizer.network.get_input_embeddings().weight.grad == 0).all()


# ---------------------------------------------------------------------- our own matrix products

BF16 = 2**-8  # the distance of neighbouring bf16 numbers, relative


@pytest.mark.parametrize("rows", [1, 31, 33, 352])
def test_products_and_their_gradients_are_those_of_fp32(rows):
    """On a CPU with AMX this is our kernel, elsewhere torch's bf16; 1,120 deep passes the kernel's cache block."""
    torch.manual_seed(rows)
    x, weight, bias, dy, added = (
        torch.randn(*shape).bfloat16() for shape in ((rows, 1120), (96, 1120), (96,), (rows, 96), (rows, 96))
    )
    kept = (torch.rand(rows, 96) > 0.1).bfloat16()

    def close(found, expected):
        torch.testing.assert_close(found.float(), expected, rtol=2 * BF16, atol=2 * BF16 * float(expected.std()))

    exact = x.float() @ weight.float().t() + bias.float()
    close(matmul.linear(x, weight, bias), exact)
    close(matmul.linear(x, weight, bias, dropout_mask=kept, residual=added), exact * kept.float() + added.float())
    small = (weight * 0.03).bfloat16()
    argument = (x.float() @ small.float().t() + bias.float()).requires_grad_()
    curve, remembered = matmul.linear_gelu(x, small, bias)
    torch.nn.functional.gelu(argument).backward(dy.float())
    close(curve, torch.nn.functional.gelu(argument.detach()))
    torch.testing.assert_close(
        matmul.gelu_backward(dy.clone(), remembered, small).float(), argument.grad, rtol=0.02, atol=0.05
    )
    gradient = torch.empty_like(weight)
    close(matmul.linear_backward(dy, x, weight, gradient), dy.float() @ weight.float())
    close(gradient, dy.float().t() @ x.float())
    wide = weight[:, :32].contiguous()  # the gradient of a narrow input has its own kernel
    close(matmul.linear_backward(dy, x[:, :32].contiguous(), wide, torch.empty_like(wide)), dy.float() @ wide.float())


def test_sizes_that_are_no_multiples_of_32_go_to_torch():
    assert not matmul.has_amx_matmul(torch.zeros(96, 1121, dtype=torch.bfloat16))
    assert not matmul.has_amx_matmul(torch.zeros(96, 1120))
