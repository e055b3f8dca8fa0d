"""A diagram of `predict`: a stream of any size in blocks and parts, killed and resumed."""

from __future__ import annotations

from collections.abc import Sequence

from acceptor.data.reading.stream import CHUNK
from acceptor.judging.predict import BLOCK
from drawings.canvas import MARGIN, RIGHT, SMALL, Drawing, Words, lines_of
from drawings.figure import Facts, Figure

WORDS = {
    "title": ("predict: any size, killed and resumed", "predict：任意大小，被杀死后可继续"),
    "caption": (
        "predict reads a stream in chunks of at most {rows:,} rows, {block} of which make a block in which equal"
        " sentences are judged once; each chunk becomes a part on disk, and after a kill the same command judges only"
        " the missing parts and writes the same bytes.",
        "predict 把输入流切成至多 {rows:,} 行的小段，每 {block} 段为一块，块内相同的句子只评判一次；每段在磁盘上成为"
        "一个部分，被杀死后同一条命令只评判缺少的部分，写出的字节完全相同。",
    ),
    "stream": ("Input stream", "输入流"),
    "stream_is": ("one or many files, read in constant memory", "一个或多个文件，内存占用恒定"),
    "block": ("block {number}", "第 {number} 块"),
    "chunk": ("one chunk: at most {rows:,} rows", "一小段：至多 {rows:,} 行"),
    "work0": ("dedup", "去重"),
    "work0_is": ("in the block", "块内"),
    "work1": ("batches", "批次"),
    "work1_is": ("by length", "按长度"),
    "work2": ("logits", "logits"),
    "work2_is": ("new only", "只算新句子"),
    "work3": ("part", "部分"),
    "work3_is": ("rows, logits", "行与 logits"),
    "parts": ("Parts on disk", "磁盘上的部分"),
    "parts_is": ("beside the output; each is complete or absent", "在输出旁边；每个部分要么完整，要么不存在"),
    "killed": ("Killed", "被杀死"),
    "resumed": ("The same command again", "再次运行同一条命令"),
    "reads": (
        "Block {at} goes on with the logits in its finished parts, so the verdicts do not depend on the kill.",
        "第 {at} 块沿用已完成部分中的 logits，判定与是否被杀死无关。",
    ),
    "done": ("finished before", "之前已完成"),
    "new": ("judged now", "现在评判"),
    "output": ("Output", "输出"),
    "output_is": ("parts joined, renamed when complete, then removed", "各部分合并，完整后改名，再删除各部分"),
}
BLOCKS, DONE = 3, 21  # drawn: three blocks, killed in the second


def measure() -> Facts:
    """The sizes that `predict` uses."""
    return {"rows": CHUNK, "block": BLOCK, "at": DONE // BLOCK + 1}


def draw(drawing: Drawing, words: Words, facts: Facts) -> None:
    """The stream in blocks, what happens to a chunk, the parts before and after a kill, the output."""
    left, cell, gap = MARGIN + 14, 8.6, 14.0
    middle = (MARGIN + RIGHT) / 2

    def place(chunk: int) -> float:
        return left + chunk * cell + chunk // BLOCK * gap

    def cells(y: float, colours: Sequence[str | None]) -> None:
        for chunk, colour in enumerate(colours):
            drawing.box(place(chunk), y, cell - 1.6, 22, fill=colour or "card", stroke=None if colour else "line",
                        radius=1.5, tint=colour == "muted")  # fmt: skip

    drawing.box(MARGIN, drawing.y, RIGHT - MARGIN, 108)
    drawing.text(MARGIN + 14, drawing.y + 24, words("stream"), bold=True)
    drawing.text(RIGHT - 14, drawing.y + 24, words("stream_is"), size=SMALL, colour="muted", anchor="end")
    for number in range(BLOCKS):
        drawing.text(place(number * BLOCK), drawing.y + 52, words("block", number=number + 1), size=SMALL)
    drawing.y += 64
    chosen = DONE - 1
    cells(drawing.y, ["c0" if chunk == chosen else "muted" for chunk in range(BLOCKS * BLOCK)])
    x = place(chosen) + (cell - 1.6) / 2
    drawing.arrow([(x, drawing.y + 24), (x, drawing.y + 92)], "c0")
    drawing.text(x + 16, drawing.y + 72, words("chunk", **facts), size=SMALL, colour="c0")
    drawing.y += 94
    wide, space = 97.0, 28.0
    for number in range(4):
        at = MARGIN + number * (wide + space)
        drawing.box(at, drawing.y, wide, 54, fill="c0", stroke="c0", tint=True)
        drawing.text(at + wide / 2, drawing.y + 23, words(f"work{number}"), bold=True, anchor="middle")
        drawing.text(at + wide / 2, drawing.y + 43, words(f"work{number}_is"), size=SMALL, anchor="middle")
        if number:
            drawing.arrow([(at - space + 3, drawing.y + 27), (at - 3, drawing.y + 27)])
    drawing.arrow([(RIGHT - wide / 2, drawing.y + 55), (RIGHT - wide / 2, drawing.y + 83)])
    drawing.y += 84
    said = lines_of(words("reads", **facts), RIGHT - MARGIN - 28, SMALL)
    height = 212 + 20 * len(said)
    drawing.box(MARGIN, drawing.y, RIGHT - MARGIN, height)
    drawing.text(MARGIN + 14, drawing.y + 24, words("parts"), bold=True)
    drawing.text(MARGIN + 14, drawing.y + 45, words("parts_is"), size=SMALL, colour="muted")
    drawing.text(MARGIN + 14, drawing.y + 75, words("killed"), size=SMALL)
    rest = BLOCKS * BLOCK - DONE
    cells(drawing.y + 84, ["c0"] * DONE + [None] * rest)
    drawing.cross(place(DONE) + (cell - 1.6) / 2, drawing.y + 95)
    drawing.text(MARGIN + 14, drawing.y + 135, words("resumed"), size=SMALL)
    cells(drawing.y + 144, ["muted"] * DONE + ["c0"] * rest)
    drawing.legend(left, drawing.y + 188, [("band", "muted", words("done"))])
    drawing.legend(left + 160, drawing.y + 188, [("bar", "c0", words("new"))])
    drawing.paragraph(left, drawing.y + 216, words("reads", **facts), RIGHT - MARGIN - 28)
    drawing.arrow([(middle, drawing.y + height + 1), (middle, drawing.y + height + 28)])
    drawing.y += height + 29
    drawing.box(MARGIN, drawing.y, RIGHT - MARGIN, 54, stroke="c0")
    drawing.text(MARGIN + 14, drawing.y + 23, words("output"), bold=True)
    drawing.text(MARGIN + 14, drawing.y + 43, words("output_is"), size=SMALL, colour="muted")
    drawing.y += 68


FIGURES = (Figure("predict", WORDS, measure, draw),)
