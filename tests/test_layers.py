"""The kernel that judges all layers at once gives Transformers' results, in each arithmetic and on each unit."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

import acceptor
from acceptor import native
from acceptor.errors import UsageError
from acceptor.judging.load import load
from acceptor.model.batches import collate
from acceptor.model.classifier import new_classifier
from acceptor.model.network import has_whole_layers, judging_network
from acceptor.model.pretrained import find_encoder
from acceptor.model.tokenizer import load_tokenizer
from acceptor.native import layers
from acceptor.runtime.device import choose_runtime
from conftest import raises
from tiny import ARCHITECTURES, make_encoder

KNOWN = [name for name in ARCHITECTURES if name not in ("albert", "deberta-v2", "modernbert")]
SENTENCES = ["A cat.", "Them knows that the cat sleep on mat the.", "Which boy did the girl see in the garden?"] * 9
SENTENCES += ["the cat " * 25]

needs_kernel = pytest.mark.skipif(not layers.has_layers("fp32"), reason="no AVX-512 or no C compiler here")


def needs(arithmetic, *values):
    missing = not layers.has_layers(arithmetic)
    return pytest.param(arithmetic, *values, marks=pytest.mark.skipif(missing, reason=f"no {arithmetic} here"))


def untrained(architecture, folder):
    """A judge with weights large enough that every layer changes its input."""
    encoder = find_encoder(str(make_encoder(folder / architecture, architecture, initializer_range=0.4)))
    model = new_classifier(encoder, ("no", "yes"), seed=1).eval()
    tokenizer = load_tokenizer(encoder.folder)
    return acceptor.Judge(model, tokenizer, ("no", "yes"), 64, choose_runtime("cpu", "fp32"), {"name": "tiny"})


def logits(network, judge, seconds=None):
    encoded = judge.encode(SENTENCES, seconds)
    batch = collate(encoded, np.arange(len(encoded)), judge.tokenizer.pad_token_id)
    with torch.inference_mode():
        return network(**batch).logits.float().numpy()


def error(judge, precision):
    """The largest error of the kernel's logits, as a share of the exact ones' standard deviation."""
    exact = logits(judge.model.eval(), judge)
    return np.abs(logits(judging_network(judge.model, precision=precision), judge) - exact).max() / np.ptp(exact)


@needs_kernel
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("architecture", KNOWN)
def test_fp32_gives_transformers_logits(architecture, paired, tmp_path):
    judge = untrained(architecture, tmp_path)
    assert has_whole_layers(judge.model, "fp32")
    seconds = SENTENCES[::-1] if paired else None
    exact = logits(judge.model.eval(), judge, seconds)
    found = logits(judging_network(judge.model, precision="fp32"), judge, seconds)
    np.testing.assert_allclose(found, exact, atol=1e-5)


@pytest.mark.parametrize(("precision", "share"), [needs("bf16", 0.06), needs("int8", 0.15)])
def test_errors_of_rounded_factors_are_small(precision, share, tmp_path):
    judge = untrained("bert", tmp_path)
    assert 0 < error(judge, precision) < share


@needs_kernel
def test_logits_do_not_depend_on_the_batch(tmp_path):
    judge = untrained("mpnet", tmp_path)
    together = judge.logits(SENTENCES)
    for row in (0, 1, len(SENTENCES) - 1):
        np.testing.assert_allclose(judge.logits([SENTENCES[row]])[0], together[row], atol=1e-6)


@pytest.mark.parametrize("arithmetic", [needs("bf16"), needs("int8")])
def test_tiles_and_vectors_give_the_same_results(arithmetic, tmp_path, monkeypatch):
    """The matrix unit's kernels, on an emulation in plain C, against the vector registers' ones."""
    here, source = Path(__file__).parent, native.SOURCES[2]
    built = tmp_path / "tiles.so"
    command = ["cc", "-O2", "-march=native", "-mno-amx-tile", "-shared", "-fPIC", "-include", here / "tiles.h"]
    subprocess.run([*command, source, "-lm", "-o", built], check=True, capture_output=True)
    tiles = ctypes.CDLL(str(built))
    tiles.layers_forward.argtypes, tiles.layers_forward.restype = native.SIGNATURES["layers_forward"]

    judge = untrained("mpnet", tmp_path)
    exact = error(judge, arithmetic)
    with_vectors = logits(judging_network(judge.model, precision=arithmetic), judge)
    monkeypatch.setattr(layers, "library", lambda: (tiles, "emulated"))
    tiles.layers_supported.restype = ctypes.c_int
    with_tiles = logits(judging_network(judge.model, precision=arithmetic), judge)
    spread = np.ptp(with_vectors)
    # bf16 sums in another order can round a factor of the next product the other way; int8's sums are exact.
    assert np.abs(with_tiles - with_vectors).max() <= (exact * spread / 4 if arithmetic == "bf16" else 1e-6)


@needs_kernel
@pytest.mark.parametrize("unit", ["vectors", "tiles"])
def test_kernels_read_and_write_only_what_is_theirs(unit, tmp_path):
    """Under AddressSanitizer, with longest sentences whose blocks of 6 rows end behind the last block of 32."""
    here, source = Path(__file__).parent, native.SOURCES[2].parent
    command = ["cc", "-O1", "-g", "-march=native", "-fsanitize=address", "-I", source]
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }\n")
    if subprocess.run([*command, tmp_path / "empty.c", "-o", tmp_path / "empty"], capture_output=True).returncode:
        pytest.skip("this compiler has no AddressSanitizer")
    command += [source / "matmul.c"] if unit == "vectors" else ["-mno-amx-tile", "-include", here / "tiles.h"]
    subprocess.run([*command, here / "bounds.c", "-lm", "-o", tmp_path / "bounds"], check=True, capture_output=True)
    lengths = ("1", "193", "223", "224", "256", "320", "352", "512")
    environment = {"ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([tmp_path / "bounds", *lengths], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_weight_is_packed_in_panels():
    weight = torch.arange(70 * 6, dtype=torch.float32).view(70, 6)
    panels, steps = layers.packed(weight)
    assert (steps, panels.shape) == (16, (2, 16, 64, 1))
    assert panels[0, 3, 5, 0] == weight[5, 3]
    assert panels[1, 2, 4, 0] == weight[68, 2]
    assert panels[:, 6:].abs().sum() == 0


def test_int8_is_refused_if_it_is_not_supported(toy_run, monkeypatch):
    monkeypatch.setattr(layers, "library", lambda: (None, "switched off"))
    with raises(UsageError, "E-USAGE-DEVICE", problem="int8", expected="AVX-512"):
        load(toy_run.folder, precision="int8")


@pytest.mark.skipif(not layers.has_layers("int8"), reason="no int8 here")
def test_a_judge_in_int8_reports_its_precision(toy_run):
    judge = acceptor.load(toy_run.folder, precision="int8")
    assert judge.runtime.precision == "int8"
    exact = acceptor.load(toy_run.folder, precision="fp32")
    sentences = SENTENCES * 10  # more than a lossless judge computes again at once
    assert 0 < np.abs(judge.logits(sentences) - exact.logits(sentences)).max() < 0.5
