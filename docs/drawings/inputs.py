"""Mistakes of the notebook chapter before the first step: padding, the mask, and weight decay by parameter group."""

from __future__ import annotations

import numpy as np

from acceptor.config import TrainConfig
from acceptor.model.batches import epoch_batches, pad, padding_ratio
from acceptor.model.encode import encode
from drawings.canvas import MARGIN, RIGHT, SMALL, Drawing, Scale, Words
from drawings.figure import Facts, Figure
from drawings.sources import cola, tokenizer

# ── padding to 128 ───────────────────────────────────────────────────────────────────────────────────────

LIMIT, BATCH = 128, 32  # the chapter's MAX_LEN and batch_size

PADDING = {
    "title": ("Padding every sentence to {limit} tokens", "把每个句子都填充到 {limit} 个词元"),
    "caption": (
        "CoLA's {n:,} training sentences have {mean:.1f} tokens on average and {longest} at most, so padding all of"
        " them to {limit} makes {fixed:.1%} of the positions padding; batches of {batch} padded to their longest"
        " sentence have {mixed:.1%}, and such batches of sentences of similar length {bucketed:.1%}.",
        "CoLA 的 {n:,} 个训练句平均 {mean:.1f} 个词元，最长 {longest} 个；全部填充到 {limit} 时，{fixed:.1%} 的位置是"
        "填充；每批 {batch} 句只填充到批内最长句时为 {mixed:.1%}，再按长度分组则只有 {bucketed:.1%}。",
    ),
    "about": ("{n:,} sentences of CoLA's train, tokens of minilm", "CoLA 训练集 {n:,} 句，minilm 的词元"),
    "sentences": ("sentences", "句数"),
    "tokens": ("tokens in a sentence", "每句的词元数"),
    "longest": ("longest: {longest}", "最长：{longest}"),
    "below": ("Positions computed per sentence", "平均每句计算的位置数"),
    "fixed": ("all padded to {limit}", "全部填充到 {limit}"),
    "mixed": ("batches of {batch}, padded to their longest", "每批 {batch} 句，填充到批内最长"),
    "bucketed": ("the same, similar lengths together", "同上，长度相近的句子同批"),
    "text": ("tokens of text", "文本词元"),
    "padding": ("padding", "填充"),
    "share": ("{share:.1%} padding", "填充 {share:.1%}"),
}


def measure_padding() -> Facts:
    """Lengths of CoLA's train, and the share of padding in an epoch's batches."""
    lengths = encode(tokenizer("minilm"), cola().train.sentences, max_length=LIMIT).lengths
    facts: Facts = {"limit": LIMIT, "batch": BATCH, "n": len(lengths), "mean": lengths.mean(), "longest": lengths.max()}
    facts["counts"] = np.bincount(lengths)
    facts["fixed"] = 1 - lengths.mean() / LIMIT
    for name, order in (("mixed", "random"), ("bucketed", "bucketed")):
        batches = epoch_batches(lengths, TrainConfig(batch_size=BATCH, order=order), 1)
        facts[name] = 1 - 1 / padding_ratio(lengths, batches)
    return facts


def draw_padding(drawing: Drawing, words: Words, facts: Facts) -> None:
    """A histogram of lengths, and below it on the same axis the positions that a sentence costs."""
    drawing.note(words("about", **facts))
    across = Scale(0, LIMIT, MARGIN + 46, RIGHT - 8)
    up = Scale(0, 1200, drawing.y + 176, drawing.y + 36)
    drawing.text(MARGIN, drawing.y + 14, words("sentences"), size=SMALL, colour="muted")
    drawing.ticks_left(up, across.start, across.end, [(at, f"{at:,}") for at in range(0, 1201, 400)])
    step = across(1) - across(0)
    drawing.columns(
        [(across(at) - step / 2, up(count)) for at, count in enumerate(facts["counts"]) if count], step, up(0), "c0"
    )
    drawing.ticks_below(across, up(0), [(at, str(at)) for at in range(0, LIMIT + 1, 16)])
    drawing.text(across.end, up(0) + 40, words("tokens"), size=SMALL, colour="muted", anchor="end")
    drawing.line([(across(facts["longest"]), up(0)), (across(facts["longest"]), up(230))], dash="3 3", width=1)
    drawing.text(across(facts["longest"]), up(290), words("longest", **facts), size=SMALL, anchor="middle")
    drawing.line([(across(LIMIT), up(0)), (across(LIMIT), up(1200))], "c1", width=2)
    drawing.text(across.end - 8, up(1040), str(LIMIT), colour="c1", anchor="end", bold=True)
    drawing.y = up(0) + 76
    drawing.text(MARGIN, drawing.y, words("below"), bold=True)
    for name in ("fixed", "mixed", "bucketed"):
        drawing.y += 30
        drawing.text(MARGIN, drawing.y, words(name, **facts), size=SMALL)
        drawing.text(RIGHT, drawing.y, words("share", share=facts[name]), anchor="end", bold=True, colour="c1")
        text, whole = across(facts["mean"]), across(facts["mean"] / (1 - facts[name]))
        drawing.box(text, drawing.y + 9, whole - text, 18, fill="c1", stroke=None, tint=True, radius=0)
        drawing.box(across.start, drawing.y + 9, text - across.start, 18, fill="c0", stroke=None, radius=0)
        drawing.y += 22
    drawing.y += 36
    drawing.legend(across.start, drawing.y, [("bar", "c0", words("text"))])
    drawing.legend(across.start + 170, drawing.y, [("band", "c1", words("padding"))])
    drawing.y += 18


# ── a mask from ids ──────────────────────────────────────────────────────────────────────────────────────

SENTENCE, LONGER = "The cats sleep.", "The cats sleep on the mat."

MASK = {
    "title": ("A mask computed from ids: i > 0", "由编号计算的遮罩：i > 0"),
    "caption": (
        "mpnet's tokenizer gives the first token id {first} and padding id {pad}: the chapter's mask, i > 0, hides the"
        " first token and attends to {attended} tokens of padding, {wrong} of {n} positions wrong; a mask from the"
        " sentence's length is right for every tokenizer.",
        "mpnet 的分词器中首词元编号为 {first}，填充编号为 {pad}：章节中的遮罩 i > 0 遮住了首词元，"
        "却关注了 {attended} 个填充词元，{n} 个位置错了 {wrong} 个；由句长得到的遮罩对任何分词器都正确。",
    ),
    "about": (
        "“{sentence}” in mpnet's tokenizer, padded to the length of a longer sentence",
        "“{sentence}” 经 mpnet 的分词器，填充到批内较长句的长度",
    ),
    "token": ("token", "词元"),
    "id": ("id", "编号"),
    "chapter": ("i > 0", "i > 0"),
    "length": ("by length", "按句长"),
    "hidden": ("hidden", "被遮住"),
    "read": ("read as text", "当作文本"),
}


def measure_mask() -> Facts:
    """Two sentences as one batch, as acceptor pads it, and the chapter's mask of the shorter."""
    one = tokenizer("mpnet")
    arrays = pad(encode(one, [SENTENCE, LONGER], max_length=LIMIT), np.arange(2), one.pad_token_id)
    ids, right = arrays["input_ids"][0], arrays["attention_mask"][0]
    chapter = (ids > 0).astype(np.int64)
    return {
        "sentence": SENTENCE,
        "rows": [
            (one.backend_tokenizer.id_to_token(int(at)), int(at), int(was), int(good))
            for at, was, good in zip(ids, chapter, right, strict=True)
        ],
        "first": int(ids[0]),
        "pad": one.pad_token_id,
        "attended": int(((chapter == 1) & (right == 0)).sum()),
        "wrong": int((chapter != right).sum()),
        "n": len(ids),
    }


def draw_mask(drawing: Drawing, words: Words, facts: Facts) -> None:
    """A row for each token: its id and both masks; wrong values are marked."""
    drawing.note(words("about", **facts))
    columns = {"token": MARGIN + 10, "id": 186, "chapter": 262, "length": RIGHT - 46}
    drawing.y += 14
    for name, x in columns.items():
        anchor = "start" if name == "token" else "middle"
        drawing.text(x, drawing.y, words(name), size=SMALL, colour="muted", anchor=anchor, mono=name == "chapter")
    drawing.line([(MARGIN, drawing.y + 10), (RIGHT, drawing.y + 10)], width=1)
    top = drawing.y + 11
    for number, (token, at, chapter, right) in enumerate(facts["rows"]):
        y = top + 30 * number + 21
        if chapter != right:
            drawing.box(columns["chapter"] - 26, y - 18, 164, 26, fill="c1", stroke=None, tint=True, radius=4)
            drawing.text(columns["chapter"] + 26, y, words("read" if chapter else "hidden"), size=SMALL, colour="c1")
        grey = "ink" if right else "muted"
        drawing.text(columns["token"], y, token, colour=grey, mono=True)
        drawing.text(columns["id"], y, str(at), colour=grey, anchor="middle", mono=True)
        wrong = chapter != right
        colour = "c1" if wrong else grey
        drawing.text(columns["chapter"], y, str(chapter), colour=colour, anchor="middle", mono=True, bold=wrong)
        drawing.text(columns["length"], y, str(right), colour=grey, anchor="middle", mono=True)
        drawing.line([(MARGIN, y + 9), (RIGHT, y + 9)], "line", width=1)
        drawing.y = y + 16


FIGURES = (
    Figure("padding", PADDING, measure_padding, draw_padding, ("cola", "minilm")),
    Figure("mask", MASK, measure_mask, draw_mask, ("mpnet",)),
)
