"""Steps in static shapes equal the steps of the loop; with `torch.compile`; and as CUDA graphs, if there is a GPU."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import config as inductor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

import acceptor
from acceptor.config import ResolvedConfig, TrainConfig
from acceptor.errors import UsageError
from acceptor.model.batches import DeviceInputs, collate, padding_ratio, static_length
from acceptor.model.classifier import new_classifier
from acceptor.model.encode import encode
from acceptor.model.pretrained import find_encoder
from acceptor.model.tokenizer import load_tokenizer
from acceptor.runs.checkpoint import Progress, TrainingSetup
from acceptor.runs.history import EpochLine, StepLine
from acceptor.runtime.device import Runtime, choose_runtime
from acceptor.training.checkpoint import Checkpoints
from acceptor.training.flat_adamw import FlatAdamW
from acceptor.training.loop import NotFiniteError, Skipped, Step, fit
from acceptor.training.static import StaticSteps, choose_static_steps
from acceptor.training.targets import Targets
from conftest import raises, toy_rows
from tiny import ARCHITECTURES, make_encoder

# 45 rows in batches of 8: the last has 5. The decay is large so that a row that decays twice, or not, is seen.
CONFIG = ResolvedConfig(epochs=2, batch_size=8, learning_rate=1e-3, weight_decay=0.5, max_grad_norm=0.3)
ROWS = 45

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    return {name: make_encoder(folder / name, name) for name in ARCHITECTURES}


class Training:
    """A tiny judge, its data and its optimizer, to be trained."""

    def __init__(self, folder, config=CONFIG, *, static, dropout=0.0, device="cpu", precision="fp32"):
        encoder = find_encoder(str(folder))
        chosen = choose_runtime("cpu" if device == "meta" else device, precision)
        self.runtime = dataclasses.replace(chosen, device=device) if device == "meta" else chosen
        self.config = config
        model = new_classifier(encoder, ("no", "yes"), seed=1).to(self.runtime.device)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = dropout
        self.judge = acceptor.Judge(
            model, load_tokenizer(encoder.folder), ("no", "yes"), 64, self.runtime, {"name": "tiny"}
        )
        rows = toy_rows(ROWS)
        self.train = encode(self.judge.tokenizer, [sentence for sentence, _ in rows], max_length=64)
        self.gold = np.array([int(label) for _, label in rows])
        self.optimizer = FlatAdamW(
            model,
            config,
            bf16=precision == "bf16",
            ids=self.train.ids,
            pad_id=self.judge.tokenizer.pad_token_id,
            static=static,
        )

    def events(self, **more):
        return fit(self.judge, self.optimizer, self.train, self.gold, self.train, self.config, **more)

    def losses(self):
        return [event.loss for event in self.events() if isinstance(event, Step)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_two_epochs_in_static_shapes_equal_those_in_ragged_ones(architecture, encoders):
    """Every loss and weight, the short last batch and unused rows of the vocabulary included.

    fp32 without dropout. Sums over more rows and columns round differently, 1e-7 of a loss; a gradient that is zero
    except for rounding moves AdamW by up to a step either way, as in the comparison with the plain loop.
    """
    ragged, fixed = (Training(encoders[architecture], static=static) for static in (False, True))
    assert fixed.losses() == pytest.approx(ragged.losses(), abs=1e-5)
    for (name, theirs), own in zip(ragged.judge.model.named_parameters(), fixed.judge.model.parameters(), strict=True):
        tolerance = 2e-2 if own.ndim < 2 else 1e-3
        assert (own - theirs).abs().max() < tolerance, name
        assert (own - theirs).abs().mean() < tolerance / 20, name


@pytest.mark.parametrize("architecture", ["bert", "roberta", "deberta-v2"])
def test_what_is_gathered_on_the_device_is_what_is_collated(architecture, encoders):
    tokenizer = load_tokenizer(encoders[architecture])
    firsts, seconds = zip(*toy_rows(ROWS), strict=True)
    encoded = encode(tokenizer, firsts, firsts[::-1] if seconds else None, max_length=30)
    resident = DeviceInputs(encoded, tokenizer.pad_token_id, 30, "cpu")
    for rows in (np.array([3, 1, 4]), np.array([ROWS - 1]), np.arange(ROWS)):
        expected = collate(encoded, rows, tokenizer.pad_token_id)
        longest = int(encoded.lengths[rows].max())
        found = resident.inputs(torch.from_numpy(rows), 30)
        assert found.keys() == expected.keys()
        assert (found["attention_mask"][:, longest:] == 0).all()
        for name, tensor in expected.items():
            assert torch.equal(found[name][:, :longest], tensor), name


def test_shapes_are_few_and_their_padding_is_told():
    lengths = [static_length(longest, 500) for longest in range(1, 501)]
    assert all(length >= longest for longest, length in enumerate(lengths, 1))
    assert set(lengths) == {8, 16, 24, 32, 40, 48, 56, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 500}
    rows = [np.array([0, 1]), np.array([2])]
    assert padding_ratio(np.array([3, 5, 9]), rows) == (2 * 5 + 9) / 17
    assert padding_ratio(np.array([3, 5, 9]), rows, static=12) == (2 * 8 + 2 * 12) / 17


def runtime_of(device="cpu", world_size=1):
    return Runtime(device, "a machine", 0, "fp32", 0, world_size)


def test_what_is_derived_is_said_with_its_reason():
    for device, compiled, static_shapes in (("cpu", None, False), ("cpu", True, True), ("cuda:0", None, True)):
        found, (shapes, choice) = choose_static_steps(runtime_of(device), TrainConfig(compile=compiled))
        assert found == static_shapes
        assert shapes.value == ("static" if static_shapes else "ragged")
        assert choice.value == bool(compiled)
        assert (choice.reason == "given") == (compiled is not None)
    assert not choose_static_steps(runtime_of("cuda:1", world_size=2), TrainConfig())[0]
    with raises(UsageError, "E-USAGE-CONFLICT", next="--compile"):
        choose_static_steps(runtime_of(world_size=2), TrainConfig(compile=True))


def test_losses_that_are_fetched_in_bulk_change_nothing(encoders):
    """`cpu:0` is the CPU, but the loop reads the losses as rarely as on a GPU."""
    each, bulk = (Training(encoders["bert"], static=True, dropout=0.1) for _ in range(2))
    bulk.judge = dataclasses.replace(bulk.judge, runtime=dataclasses.replace(bulk.runtime, device="cpu:0"))
    ones, groups = ([event for event in training.events() if isinstance(event, Step)] for training in (each, bulk))
    assert [(event.step, event.loss) for event in groups] == [(event.step, event.loss) for event in ones]
    assert len({event.seconds for event in groups}) == CONFIG.epochs
    assert same_weights(each, bulk)


def test_words_that_no_example_uses_decay_and_nothing_else(encoders):
    training = Training(encoders["bert"], static=True)
    table = training.judge.model.get_input_embeddings().weight
    unused = np.setdiff1d(np.arange(len(table)), training.optimizer.rows.used.numpy())
    before = table[unused].detach().double()
    rates = [event.learning_rate for event in training.events() if isinstance(event, Step)]
    factor = math.prod(1 - rate * CONFIG.weight_decay for rate in rates)
    assert factor < 1 - 1e-3
    torch.testing.assert_close(table[unused].double(), before * factor, atol=1e-9, rtol=1e-6)


def same_weights(one, other):
    """Bit for bit, moments included."""
    arrays = [
        (training.optimizer.exp_avg, training.optimizer.exp_avg_sq, *training.judge.model.parameters())
        for training in (one, other)
    ]
    return all(torch.equal(mine, theirs) for mine, theirs in zip(*arrays, strict=True))


def poisoned(training):
    """One word's embedding becomes NaN; returns the rows that hold that word."""
    ids, counts = np.unique(training.train.ids, return_counts=True)
    rare = int(ids[(counts < ROWS // 4)][-1])
    place = int(training.optimizer.rows.place[rare])
    with torch.no_grad():
        training.optimizer.rows.weight[place] = math.nan
        training.optimizer.network_weights.copy_(training.optimizer.master_weights)
    offsets = training.train.offsets
    return {row for row in range(ROWS) if rare in training.train.ids[offsets[row] : offsets[row + 1]]}


def test_a_step_that_is_not_finite_leaves_the_weights_alone(encoders):
    config = CONFIG.model_copy(update={"on_nan": "skip", "batch_size": 3})
    ragged, fixed = (Training(encoders["bert"], config, static=static) for static in (False, True))
    rows = poisoned(ragged)
    assert poisoned(fixed) == rows
    theirs, mine = (list(training.events()) for training in (ragged, fixed))
    skipped = [(event.step, event.rows) for event in mine if isinstance(event, Skipped)]
    assert skipped == [(event.step, event.rows) for event in theirs if isinstance(event, Skipped)]
    assert 0 < len(skipped) < 2 * math.ceil(ROWS / 3)
    assert {row for _, batch in skipped for row in batch} >= rows
    ours, expected = ([event.loss for event in events if isinstance(event, Step)] for events in (mine, theirs))
    assert ours == pytest.approx(expected, abs=1e-5)
    assert fixed.optimizer.exp_avg.isfinite().all()
    assert (
        fixed.optimizer.master_weights.isnan().sum() == fixed.judge.model.config.hidden_size
    )  # the poisoned row alone


@pytest.mark.parametrize(("gradient", "loss"), [(math.inf, 1.0), (math.nan, 1.0), (1.0, math.nan), (1.0, 1.0)])
def test_an_update_looks_at_loss_and_gradient(gradient, loss, encoders):
    """On the device alone: nothing moves, moments and their count included, and the loss says NaN."""
    optimizer = Training(encoders["bert"], static=True).optimizer
    optimizer.grad.fill_(1e-3)
    optimizer.grad[5] = gradient
    arrays = (optimizer.master_weights, optimizer.exp_avg, optimizer.exp_avg_sq)
    before = [array.clone() for array in arrays]
    told = optimizer.step_without_sync(torch.tensor(loss), torch.tensor(1e-3), torch.tensor(1.0))
    moved = [not torch.equal(array, old) for array, old in zip(arrays, before, strict=True)]
    fine = math.isfinite(gradient + loss)
    assert moved == [fine] * 3
    assert told.isnan() != fine


def test_a_step_that_is_not_finite_stops_the_training_and_is_named(encoders):
    training = Training(encoders["bert"], static=True)
    rows = poisoned(training)
    with raises(NotFiniteError, "E-TRAINING-NAN", where="epoch 1, step") as caught:
        list(training.events())
    assert rows & set(caught.value.rows.tolist())


def too_large(limit, after):
    """A hook for the network: when it has computed so often, memory for more than ``limit`` examples is not there."""
    calls = itertools.count()

    def look(module, arguments, named):
        if next(calls) >= after and len(named["input_ids"]) > limit:
            raise torch.OutOfMemoryError("out of memory, says the test")

    return look


DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]


@pytest.mark.parametrize("device", DEVICES)
def test_where_memory_runs_out_the_batch_stays_and_its_parts_get_smaller(device, encoders, caplog):
    whole, parts = (Training(encoders["bert"], static=True, device=device) for _ in range(2))
    # On a GPU the network is called while graphs are recorded; on a CPU, where steps come before, they leave gradients.
    parts.optimizer.network.register_forward_pre_hook(too_large(2, after=3), with_kwargs=True)
    assert parts.losses() == pytest.approx(whole.losses(), abs=1e-5)
    assert parts.optimizer.micro_batch == 2
    assert not parts.optimizer.static
    assert "micro-batches of 4;" in caplog.text
    assert "micro-batches of 2;" in caplog.text
    for mine, theirs in zip(parts.judge.model.parameters(), whole.judge.model.parameters(), strict=True):
        assert (mine - theirs).abs().mean() < 1e-3


@pytest.mark.parametrize("device", DEVICES)
def test_a_stop_in_the_middle_changes_no_bit(device, encoders, tmp_path):
    """With dropout, from a checkpoint behind step 7 of 12, in the second epoch."""
    make = functools.partial(Training, encoders["bert"], static=True, dropout=0.1, device=device)
    through, stopped, resumed = make(), make(), make()
    list(through.events())
    history: list[dict[str, object]] = []
    scores = {"validation_loss": 0.0, "mcc": None, "accuracy": None, "f1": None}
    for event in stopped.events():
        fields = {name: value for name, value in vars(event).items() if name != "logits"}
        if isinstance(event, Step):
            history.append(StepLine(event="step", **fields))
        else:
            history.append(EpochLine(event="epoch", **fields, **scores))
        # On a GPU losses come at the end of an epoch: there the checkpoint lies behind step 6.
        if (
            isinstance(event, Step)
            and event.step == stopped.optimizer.steps >= 6
            and (device == "cuda" or event.step == 7)
        ):
            break
    progress = Progress(epoch=event.epoch - 1, step=event.step, seconds=1.0, epoch_loss=1.0, epoch_examples=8)
    if event.step == 6:
        stopped.optimizer.sync_embeddings()
        progress = Progress(epoch=1, step=6, seconds=1.0)
    split = {"name": "train", "origin": "", "sha256": "", "rows": ROWS, "schema": "", "balance": {}}
    settings = TrainingSetup.model_validate(
        {
            "config": stopped.config.model_dump(),
            "encoder": {"name": "tiny"},
            "data": {"train": split},
            "labels": [],
            "source": None,
            "directory": "",
        }
    )
    saved = [
        Checkpoints(tmp_path, each.judge.model, each.optimizer, settings, writes=True) for each in (stopped, resumed)
    ]
    if event.step == 6:  # the epoch's end was not waited for
        history.append(EpochLine(event="epoch", epoch=1, step=6, seconds=1.0, train_loss=0.0, **scores))
    saved[0].save(progress, {}, history)
    done, _, _ = saved[1].load(allow_change=False)
    torch.manual_seed(99)  # what else has drawn random numbers must not matter
    list(resumed.events(done=done))
    assert same_weights(through, resumed)


# ---------------------------------------------------------------------- torch.compile


@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")  # torch's own, of torch
def test_a_compiled_training_gives_the_same_losses(tmp_path):
    """One layer and one length, since a shape takes seconds to compile. fp32 without dropout: fused operations round
    differently, 1e-7 of a number at each."""
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "num_hidden_layers": 1}
    encoder = make_encoder(tmp_path / "bert", **off)
    data = acceptor.load_data(toy_rows(40), validation=toy_rows(20, 1))
    runs = {}
    before = counters["stats"]["unique_graphs"]
    for compiled in (False, True):
        settings = {"encoder": str(encoder), "epochs": 2, "batch_size": 16, "max_length": 8, "on_collapse": "go-on"}
        config = TrainConfig(**settings, compile=compiled)
        runs[compiled] = acceptor.train(data, out=tmp_path / str(compiled), config=config)
    assert counters["stats"]["unique_graphs"] == before + 1  # and not one for the last, smaller batch
    losses = [[line["loss"] for line in run.history if line["event"] == "step"] for run in runs.values()]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    derived = {item["name"]: item for item in runs[True].record["derived"]}
    assert derived["compile"]["value"] is True
    assert derived["shapes"]["value"] == "static"
    assert (
        derived["padding"]["value"] > {item["name"]: item for item in runs[False].record["derived"]}["padding"]["value"]
    )


@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:dynamo_pgo force disabled:UserWarning")  # torch says it once in a process
def test_a_machine_that_cannot_compile_says_so(encoders):
    training = Training(encoders["bert"], CONFIG.model_copy(update={"compile": True}), static=True)
    steps = StaticSteps(training.judge, training.optimizer, training.train, torch.from_numpy(training.gold))
    nowhere = {"cpp.cxx": ("no-such-compiler",), "force_disable_caches": True}
    with inductor.patch(nowhere), raises(UsageError, "E-USAGE-COMPILE", cause="C++ compiler"):
        steps.step(np.arange(8), 1e-3)


# ---------------------------------------------------------------------- CUDA graphs


class Recorded(TorchDispatchMode):
    """What a CUDA graph cannot hold, seen without a GPU: numbers read back, sizes that depend on them, copies between
    devices. The tensors are torch's `meta`: no memory, so nothing else would go unnoticed either."""

    def __init__(self):
        super().__init__()
        self.seen, self.refused = 0, []

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        name = str(operation)
        self.seen += 1
        if "_fused_adamw_" in name:  # has no form for meta tensors
            assert all(
                tensor.device.type == "meta"
                for tensor in pytree.tree_leaves((arguments, named))
                if isinstance(tensor, torch.Tensor)
            )
            return None
        result = operation(*arguments, **(named or {}))
        if any(part in name for part in ("_local_scalar_dense", "nonzero", "masked_select", "equal.default", "unique")):
            self.refused.append(name)
        mixed = "copy" in name or "where" in name  # elsewhere a number of the host's goes along with the launch
        tensors = [
            tensor for tensor in pytree.tree_leaves((arguments, named, result)) if isinstance(tensor, torch.Tensor)
        ]
        if mixed and len({tensor.device for tensor in tensors}) > 1:
            self.refused.append(name)
        return result


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_reads_nothing_back_and_copies_nothing_over(architecture, precision, encoders, monkeypatch):
    """Transformers looks whether a mask hides anything (`.all()`), but not while a graph is recorded."""
    monkeypatch.setattr("transformers.utils.import_utils.is_cuda_stream_capturing", lambda: True)
    training = Training(encoders[architecture], static=True, dropout=0.1, device="meta", precision=precision)
    training.optimizer.network.train()
    targets = Targets(training.gold, 2, training.config, "meta")
    steps = StaticSteps(training.judge, training.optimizer, training.train, targets)
    with Recorded() as recorded:
        steps._compute(16)
    assert recorded.seen > 400
    assert recorded.refused == []


@needs_gpu
def test_every_shape_is_recorded(encoders):
    """Else the network ran kernel by kernel, with a warning."""
    for architecture in ("bert", "roberta", "mpnet", "electra", "distilbert", "albert", "xlm-roberta"):
        training = Training(encoders[architecture], static=True, device="cuda", precision="bf16")
        steps = started(training)
        assert sorted(steps.graphs) == sorted(steps.shapes), architecture


def started(training):
    """Its steps, after the first."""
    targets = Targets(training.gold, 2, training.config, training.runtime.device)
    steps = StaticSteps(training.judge, training.optimizer, training.train, targets)
    training.optimizer.network.train()
    steps.step(np.arange(8), 1e-3)
    return steps


@needs_gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_recording_changes_nothing(precision, encoders):
    training = Training(encoders["bert"], static=True, dropout=0.1, device="cuda", precision=precision)
    optimizer = training.optimizer
    arrays = (optimizer.master_weights, optimizer.network_weights, optimizer.exp_avg, optimizer.exp_avg_sq)
    before = [array.clone() for array in arrays]
    StaticSteps(training.judge, optimizer, training.train, torch.from_numpy(training.gold).to("cuda"))._capture()
    assert all(torch.equal(array, old) for array, old in zip(arrays, before, strict=True))
    assert optimizer.steps == 0


@needs_gpu
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_replayed_steps_equal_launched_ones(dropout, encoders):
    """20 steps in fp32; the bound is rounding's, since a launched step may skip a mask that hides nothing."""
    launched, replayed = (Training(encoders["bert"], static=True, dropout=dropout, device="cuda") for _ in range(2))
    rng = np.random.default_rng(1)
    batches = [rng.choice(ROWS, size, replace=False) for size in [8] * 15 + [5] * 5]
    for training in (launched, replayed):
        steps = started(training)
        if training is launched:
            steps.graphs = {}
        for rows in batches:
            steps.step(rows, 1e-3)
    torch.testing.assert_close(
        replayed.optimizer.master_weights, launched.optimizer.master_weights, atol=1e-4, rtol=1e-4
    )
    assert replayed.optimizer.steps == launched.optimizer.steps == 21


@needs_gpu
def test_the_loop_does_not_wait_for_the_gpu(encoders):
    training = Training(encoders["bert"], static=True, dropout=0.1, device="cuda", precision="bf16")
    steps = started(training)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        losses = [steps.step(np.arange(start, start + 8), 1e-3) for start in range(0, 32, 8)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.stack(losses).isfinite().all()
    assert len({loss.item() for loss in losses}) == 4


@needs_gpu
def test_a_gpu_trains_as_a_cpu_does(encoders):
    cpu, gpu = (Training(encoders["bert"], static=device == "cuda", device=device) for device in ("cpu", "cuda"))
    assert gpu.losses() == pytest.approx(cpu.losses(), abs=1e-4)
