"""Mistakes of the notebook chapter with the network's parameters: a key that AdamW never reads, and DataParallel."""

from __future__ import annotations

from functools import cache
from typing import Any

from drawings.canvas import MARGIN, RIGHT, SMALL, Drawing, Scale, Words
from drawings.figure import Facts, Figure


@cache
def bert_base() -> Any:
    """The chapter's classifier in the sizes of bert-base-uncased, `BertConfig`'s own; without memory for weights."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    with torch.device("meta"):
        return BertForSequenceClassification(BertConfig())


# ── weight_decay_rate ────────────────────────────────────────────────────────────────────────────────────

DECAY = {
    "title": ("A weight decay that the optimizer never reads", "优化器从不读取的权重衰减"),
    "caption": (
        "The chapter writes weight_decay_rate: {intended[0]} for {sizes[0]} tensors and {intended[1]} for {sizes[1]}"
        " biases and LayerNorm weights; torch.optim.AdamW keeps that key unread and decays all {all} by its default"
        " weight_decay, {used[0]}.",
        "章节写的是 weight_decay_rate：{sizes[0]} 个张量为 {intended[0]}，{sizes[1]} 个偏置与 LayerNorm 权重为"
        " {intended[1]}；torch.optim.AdamW 从不读取这个键，{all} 个张量全部按默认的 weight_decay {used[0]} 衰减。",
    ),
    "group0": ("Weight matrices", "权重矩阵"),
    "group1": ("Biases and LayerNorm weights", "偏置与 LayerNorm 权重"),
    "size": ("{tensors} tensors, {millions:.1f} M parameters", "{tensors} 个张量，{millions:.1f} M 参数"),
    "intended": ("intended", "本意"),
    "used": ("used", "实际"),
    "keys": ("What the optimizer holds for the first group", "优化器中第一组的内容"),
    "never": ("never read", "从不读取"),
    "always": ("read in every step", "每一步都读取"),
}


def measure_decay() -> Facts:
    """The chapter's groups in torch's AdamW; and that one step without a gradient decays by what the group holds."""
    import torch

    parameters = list(bert_base().named_parameters())
    no_decay = ("bias", "LayerNorm.weight")
    groups = [
        [one for name, one in parameters if any(part in name for part in no_decay) == without]
        for without in (False, True)
    ]
    asked = [{"params": groups[0], "weight_decay_rate": 0.1}, {"params": groups[1], "weight_decay_rate": 0.0}]
    held = torch.optim.AdamW(asked, lr=2e-5, eps=1e-8).param_groups
    weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    weight.grad = torch.zeros_like(weight)
    torch.optim.AdamW([{"params": [weight], "weight_decay_rate": 0.1}], lr=0.5).step()
    assert abs((1 - weight.item()) / 0.5 - held[0]["weight_decay"]) < 1e-9
    return {
        "intended": [one["weight_decay_rate"] for one in held],
        "used": [one["weight_decay"] for one in held],
        "sizes": [len(group) for group in groups],
        "all": len(parameters),
        "millions": [sum(one.numel() for one in group) / 1e6 for group in groups],
    }


def draw_decay(drawing: Drawing, words: Words, facts: Facts) -> None:
    """Intended against used decay by group as bars, and the two keys of the first group."""
    label = MARGIN + 84
    across = Scale(0, 0.1, label, RIGHT - 56)
    for group in range(2):
        drawing.y += 12
        drawing.text(MARGIN, drawing.y, words(f"group{group}"), bold=True)
        size = words("size", tensors=facts["sizes"][group], millions=facts["millions"][group])
        drawing.text(MARGIN, drawing.y + 21, size, size=SMALL, colour="muted")
        drawing.y += 34
        for name, colour in (("intended", "c0"), ("used", "c1")):
            value = facts[name][group]
            drawing.text(label - 12, drawing.y + 15, words(name), size=SMALL, anchor="end")
            drawing.box(label, drawing.y, max(across(value) - label, 2), 20, fill=colour, stroke=None, radius=2)
            drawing.text(max(across(value), label + 2) + 8, drawing.y + 15, f"{value:g}", colour=colour, bold=True)
            drawing.y += 27
        drawing.y += 14
    drawing.y += 8
    drawing.text(MARGIN, drawing.y, words("keys"), bold=True)
    drawing.box(MARGIN, drawing.y + 12, RIGHT - MARGIN, 70)
    rows = (("weight_decay_rate", facts["intended"][0], "never"), ("weight_decay", facts["used"][0], "always"))
    for key, value, read in rows:
        drawing.y += 36 if read == "never" else 27
        colour = "muted" if read == "never" else "ink"
        drawing.text(MARGIN + 14, drawing.y, key, size=SMALL, colour=colour, mono=True)
        drawing.text(MARGIN + 210, drawing.y, f"{value:g}", size=SMALL, colour=colour, mono=True, anchor="middle")
        drawing.text(RIGHT - 14, drawing.y, words(read), size=SMALL, colour=colour, anchor="end")
    drawing.y += 38


# ── DataParallel ─────────────────────────────────────────────────────────────────────────────────────────

DEVICES = 4

PARALLEL = {
    "title": ("What moves in each step on {devices} devices", "{devices} 个设备时每一步要传什么"),
    "caption": (
        "With {devices} devices and bert-base in fp32, nn.DataParallel moves {copies:.2f} GB of weights out of device"
        " 0 and as much of gradients back into it in every step; with one process per device the weights stay, and a"
        " ring of all-reduce sends {ring:.2f} GB from each device.",
        "{devices} 个设备、fp32 的 bert-base：nn.DataParallel 每一步都要从 0 号设备传出 {copies:.2f} GB 权重，再收回"
        "同样多的梯度；每个设备一个进程时权重不动，环形 all-reduce 从每个设备只发送 {ring:.2f} GB。",
    ),
    "parallel": ("nn.DataParallel: one process", "nn.DataParallel：一个进程"),
    "device": ("device {number}", "设备 {number}"),
    "optimizer": ("weights, optimizer, batch", "权重、优化器、批次"),
    "copy": ("a copy", "副本"),
    "down": ("out, every step", "每步传出"),
    "down_what": ("rows and {copies:.2f} GB weights", "数据与 {copies:.2f} GB 权重"),
    "up": ("back, every step", "每步收回"),
    "up_what": ("logits, {copies:.2f} GB gradients", "logits、{copies:.2f} GB 梯度"),
    "waits": (
        "All of it passes through device 0, which alone updates the weights while the others wait.",
        "全部经过 0 号设备；只有它更新权重，其他设备等待。",
    ),
    "processes": ("One process per device (torchrun)", "每个设备一个进程（torchrun）"),
    "process": ("process {number}", "进程 {number}"),
    "own": ("weights", "权重"),
    "own2": ("optimizer", "优化器"),
    "own3": ("own rows", "自己的数据"),
    "sum": ("all-reduce: gradients are summed", "all-reduce：梯度求和"),
    "sum_what": ("{ring:.2f} GB from each device, all at once", "每个设备发送 {ring:.2f} GB，同时进行"),
    "same": (
        "Every process then takes the same step, so the weights stay equal without being sent.",
        "随后每个进程走相同的一步，权重无需传送就保持一致。",
    ),
}


def measure_parallel() -> Facts:
    """Bytes of bert-base's weights in fp32, of which gradients have as many."""
    gigabytes = 4 * sum(one.numel() for one in bert_base().parameters()) / 1e9
    return {
        "devices": DEVICES,
        "copies": (DEVICES - 1) * gigabytes,
        "ring": 2 * (DEVICES - 1) / DEVICES * gigabytes,  # what a ring sends from each: reduce-scatter, then all-gather
    }


def draw_parallel(drawing: Drawing, words: Words, facts: Facts) -> None:
    """Two diagrams: everything through device 0; and equal processes that sum their gradients."""
    drawing.text(MARGIN, drawing.y + 6, words("parallel"), bold=True)
    top, wide = drawing.y + 20, (RIGHT - MARGIN - 3 * 16) / 4
    middle = (MARGIN + RIGHT) / 2
    drawing.box(middle - 118, top, 236, 56, stroke="c1")
    drawing.text(middle, top + 23, words("device", number=0), anchor="middle", bold=True)
    drawing.text(middle, top + 44, words("optimizer"), size=SMALL, colour="muted", anchor="middle")
    below = top + 152
    three = (RIGHT - MARGIN - 2 * 24) / 3
    bus = (top + 56 + below) / 2
    for number in range(1, DEVICES):
        x = MARGIN + (number - 1) * (three + 24) + three / 2
        drawing.box(x - three / 2, below, three, 52)
        drawing.text(x, below + 22, words("device", number=number), anchor="middle", bold=True)
        drawing.text(x, below + 42, words("copy"), size=SMALL, colour="muted", anchor="middle")
    for shift, out in ((-12, True), (12, False)):
        level = bus + (14 if out else 30)
        for number in range(1, DEVICES):
            x = MARGIN + (number - 1) * (three + 24) + three / 2 + shift
            points = [(middle + shift, top + 56), (middle + shift, level), (x, level), (x, below)]
            drawing.arrow(points if out else points[::-1], "c1")
    for x, anchor, name in ((middle - 24, "end", "down"), (middle + 24, "start", "up")):
        drawing.text(x, top + 80, words(name), size=SMALL, colour="c1", anchor=anchor, bold=True)
        drawing.text(x, top + 99, words(f"{name}_what", **facts), size=SMALL, anchor=anchor)
    drawing.y = below + 76
    drawing.note(words("waits"))
    drawing.y += 22
    drawing.text(MARGIN, drawing.y, words("processes"), bold=True)
    top = drawing.y + 14
    ring = top + 132
    for number in range(DEVICES):
        x = MARGIN + number * (wide + 16)
        drawing.box(x, top, wide, 96)
        drawing.text(x + wide / 2, top + 23, words("process", number=number), anchor="middle", bold=True)
        for line, name in enumerate(("own", "own2", "own3")):
            drawing.text(x + wide / 2, top + 45 + 19 * line, words(name), size=SMALL, colour="muted", anchor="middle")
        drawing.arrow([(x + wide / 2 - 8, top + 96), (x + wide / 2 - 8, ring)], "c0")
        drawing.arrow([(x + wide / 2 + 8, ring), (x + wide / 2 + 8, top + 96)], "c0")
    drawing.box(MARGIN, ring, RIGHT - MARGIN, 54, fill="c0", stroke="c0", tint=True)
    drawing.text(middle, ring + 23, words("sum"), anchor="middle", bold=True)
    drawing.text(middle, ring + 43, words("sum_what", **facts), size=SMALL, anchor="middle")
    drawing.y = ring + 80
    drawing.note(words("same"))


FIGURES = (
    Figure("weight-decay", DECAY, measure_decay, draw_decay),
    Figure("devices", PARALLEL, measure_parallel, draw_parallel),
)
