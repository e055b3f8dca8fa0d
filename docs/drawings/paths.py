"""Diagrams of two paths: a sentence from text to verdict, and a training that is killed and resumed."""

from __future__ import annotations

from acceptor.model.encode import encode
from acceptor.model.pretrained import find_encoder
from drawings.canvas import MARGIN, RIGHT, SMALL, Drawing, Words
from drawings.figure import Facts, Figure
from drawings.sources import REPOSITORY, tokenizer

# ── a sentence ───────────────────────────────────────────────────────────────────────────────────────────

SENTENCE = {
    "title": ("The path of a sentence", "一个句子的路径"),
    "caption": (
        "A sentence is read as a string, encoded ({tokens} tokens here), put into a batch with sentences of similar"
        " length, and taken through {layers} layers (minilm) to logits, from which temperature and threshold make the"
        " verdict; training and judging share every step but the choice of rows.",
        "一个句子读作字符串，编码为编号（此例 {tokens} 个词元），与长度相近的句子同批，经过 {layers} 层（minilm）得到"
        " logits，再由温度与阈值得出判定；训练与评判除选取哪些行外，每一步都相同。",
    ),
    "text": ("Text", "文本"),
    "text_is": ("“{sentence}” in a file, a list, a frame", "“{sentence}”，来自文件、列表或数据框"),
    "to_table": ("strings exactly as written, or refused", "字符串原样读入，否则拒绝"),
    "table": ("Table of sentences", "句子表"),
    "table_is": ("one row per sentence, each with its place", "每行一个句子，并记下出处"),
    "to_ids": ("the tokenizer, with its own special tokens", "分词器，加上它自己的特殊词元"),
    "ids": ("Token ids", "词元编号"),
    "ids_is": ("{ids}", "{ids}"),
    "to_batch": ("similar lengths together; mask from lengths", "长度相近者同批；遮罩由句长得到"),
    "batch": ("Batch", "批次"),
    "batch_is": ("input_ids, attention_mask: (B, L)", "input_ids、attention_mask：(B, L)"),
    "to_logits": ("{layers} layers, {wide} wide, and the head", "{layers} 层，宽 {wide}，以及分类头"),
    "logits": ("Logits", "Logits"),
    "logits_is": ("(B, 2), put back in the order of the input", "(B, 2)，恢复输入的顺序"),
    "to_verdict": ("softmax of logits / temperature; threshold", "logits 除以温度后 softmax；再用阈值"),
    "verdict": ("Verdict", "判定"),
    "verdict_is": ("label, probability, margin", "标签、概率、间距"),
}
STEPS = (
    ("text", ""),
    ("table", "data/reading/read.py"),
    ("ids", "model/encode.py"),
    ("batch", "model/batches.py"),
    ("logits", "model/network.py"),
    ("verdict", "judging/decision.py"),
)


def measure_sentence() -> Facts:
    """The ids of a sentence in minilm's vocabulary, and minilm's sizes; the modules must exist."""
    for _, module in STEPS:
        assert (REPOSITORY / "src" / "acceptor" / module).exists(), module
    sentence, config = "The cats sleeps.", find_encoder("minilm").config
    ids = encode(tokenizer("minilm"), [sentence], max_length=128).ids.tolist()
    return {
        "sentence": sentence, "tokens": len(ids), "ids": "  ".join(map(str, ids)),
        "layers": config["num_hidden_layers"], "wide": config["hidden_size"],
    }  # fmt: skip


def draw_sentence(drawing: Drawing, words: Words, facts: Facts) -> None:
    """Boxes for what a sentence is, arrows with the module and what it does."""
    for name, module in STEPS:
        if module:
            drawing.arrow([(MARGIN + 32, drawing.y), (MARGIN + 32, drawing.y + 54)])
            drawing.text(MARGIN + 52, drawing.y + 22, module, size=SMALL, colour="c0", mono=True)
            drawing.text(MARGIN + 52, drawing.y + 41, words(f"to_{name}", **facts), size=SMALL, colour="muted")
            drawing.y += 55
        last = name == "verdict"
        drawing.box(MARGIN, drawing.y, RIGHT - MARGIN, 54, stroke="c0" if last else "line")
        drawing.text(MARGIN + 14, drawing.y + 23, words(name), bold=True)
        drawing.text(MARGIN + 14, drawing.y + 43, words(f"{name}_is", **facts), size=SMALL)
        drawing.y += 54
    drawing.y += 14


# ── a training ───────────────────────────────────────────────────────────────────────────────────────────

TRAINING = {
    "title": ("A training, a kill, and the same weights", "训练被杀死，权重仍相同"),
    "caption": (
        "A training writes a checkpoint after every epoch and about every minute; killed between two of them, it goes"
        " on from the last one with --resume, repeats the steps since, and ends with the same weights as a training"
        " that was never stopped.",
        "训练在每个 epoch 结束时和大约每分钟写一个检查点；若在两个检查点之间被杀死，--resume 从最后一个检查点继续，"
        "重做其后的步骤，最终权重与从未中断的训练完全相同。",
    ),
    "data": ("Data", "数据"),
    "data_is": ("train · validation · test, checked before the first step", "训练 · 验证 · 测试，第一步之前先检查"),
    "loop": ("The loop: one step after another", "训练循环：一步接一步"),
    "step0": ("batch", "批次"),
    "step1": ("loss", "损失"),
    "step2": ("gradients", "梯度"),
    "step3": ("AdamW", "AdamW"),
    "follows": (
        "Batches follow from (seed, epoch), dropout from (seed, step): a checkpoint needs no state of a generator.",
        "批次由（种子，epoch）决定，dropout 由（种子，步）决定：检查点无需保存随机数发生器的状态。",
    ),
    "through": ("Never stopped", "从未中断"),
    "killed": ("Killed", "被杀死"),
    "resumed": ("--resume", "--resume"),
    "same": ("same weights", "权重相同"),
    "checkpoint": ("checkpoint: weights, AdamW's state, history, settings", "检查点：权重、AdamW 的状态、历史、设置"),
    "kill": ("killed: the steps since the last checkpoint are repeated", "被杀死：最后一个检查点之后的步骤重做"),
    "signal": (
        "SIGINT and SIGTERM write a checkpoint first: no step is lost.",
        "SIGINT 与 SIGTERM 会先写检查点：不丢任何一步。",
    ),
    "folder": ("Run folder", "运行文件夹"),
    "folder_is": ("written beside, renamed when complete", "先写在旁边，完整后改名"),
}


def draw_training(drawing: Drawing, words: Words, _: Facts) -> None:
    """Data, the loop, three time lines, the run folder."""
    middle = (MARGIN + RIGHT) / 2
    drawing.box(MARGIN, drawing.y, RIGHT - MARGIN, 54)
    drawing.text(MARGIN + 14, drawing.y + 23, words("data"), bold=True)
    drawing.text(MARGIN + 14, drawing.y + 43, words("data_is"), size=SMALL, colour="muted")
    drawing.arrow([(middle, drawing.y + 54), (middle, drawing.y + 82)])
    top = drawing.y + 83
    drawing.box(MARGIN, top, RIGHT - MARGIN, 108)
    drawing.text(MARGIN + 14, top + 23, words("loop"), bold=True)
    wide, gap = 90.0, 28.0
    start = middle - 2 * wide - 1.5 * gap
    for number in range(4):
        x = start + number * (wide + gap)
        drawing.box(x, top + 38, wide, 32, fill="c0", stroke="c0", tint=True)
        drawing.text(x + wide / 2, top + 59, words(f"step{number}"), size=SMALL, anchor="middle")
        if number:
            drawing.arrow([(x - gap + 3, top + 54), (x - 3, top + 54)])
    back = [(start + 3 * (wide + gap) + wide / 2, top + 71), (start + 3 * (wide + gap) + wide / 2, top + 90)]
    drawing.arrow([*back, (start + wide / 2, top + 90), (start + wide / 2, top + 72)])
    drawing.y = top + 132
    drawing.note(words("follows"))
    _time_lines(drawing, words)
    drawing.legend(MARGIN, drawing.y, [("ring", "c0", words("checkpoint"))])
    drawing.cross(MARGIN + 9, drawing.y + 17, radius=5)
    drawing.text(MARGIN + 26, drawing.y + 22, words("kill"), size=SMALL)
    drawing.y += 52
    drawing.note(words("signal"))
    drawing.arrow([(middle, drawing.y - 8), (middle, drawing.y + 22)])
    drawing.y += 23
    drawing.box(MARGIN, drawing.y, RIGHT - MARGIN, 54, stroke="c0")
    drawing.text(MARGIN + 14, drawing.y + 23, words("folder"), bold=True)
    drawing.text(MARGIN + 14, drawing.y + 43, words("folder_is"), size=SMALL, colour="muted")
    drawing.y += 68


def _time_lines(drawing: Drawing, words: Words) -> None:
    """The same training without a stop, killed, and resumed."""
    left, end, every = MARGIN + 124.0, RIGHT - 22, 68.0
    rows = {name: drawing.y + 20 + 46 * number for number, name in enumerate(("through", "killed", "resumed"))}
    kill, last = left + 2.6 * every, left + 2 * every
    for name, y in rows.items():
        drawing.text(MARGIN, y + 5, words(name), size=SMALL)
        first, stop = (last if name == "resumed" else left), (kill if name == "killed" else end)
        drawing.line([(first, y), (stop, y)], "c0", width=3)
        for number in range(1, 5):
            if first <= left + number * every <= stop:
                drawing.dot(left + number * every, y, "c0", radius=6, hollow=True)
        if name == "killed":
            drawing.cross(stop, y)
        else:
            drawing.dot(stop, y, "c0", radius=7)
    drawing.arrow([(last, rows["killed"] + 8), (last, rows["resumed"] - 8)], dash="3 4")
    drawing.line([(end, rows["through"] + 10), (end, rows["resumed"] - 10)], "c0", dash="3 4", width=1.5)
    drawing.text(end - 10, rows["killed"] + 5, words("same"), size=SMALL, colour="c0", anchor="end", bold=True)
    drawing.y = rows["resumed"] + 42


FIGURES = (
    Figure("sentence", SENTENCE, measure_sentence, draw_sentence, ("minilm",)),
    Figure("training", TRAINING, dict, draw_training),
)
