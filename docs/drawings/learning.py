"""How the score grows by epoch, with all layers as pre-trained and with the top ones from random weights."""

from __future__ import annotations

from drawings.canvas import MARGIN, RIGHT, SMALL, Drawing, Scale, Words
from drawings.figure import Facts, Figure
from drawings.sources import table_on_record

TOP_LAYERS = {
    "title": ("Reinitialised top layers", "顶层从头开始"),
    "caption": (
        "Validation MCC by epoch, one training each: with its top two layers from random weights, mpnet has"
        " {mpnet_1:.3f} after one epoch of CoLA instead of {mpnet_0:.3f}, and {mpnet_end_1:.3f} instead of"
        " {mpnet_end_0:.3f} at the end; minilm, with its top layer, passes .5 on starter after {starter_1} epochs"
        " instead of {starter_0}.",
        "各 epoch 后的验证 MCC，每条线是一次训练：顶部两层从随机权重开始时，mpnet 在 CoLA 上一个 epoch 后为"
        " {mpnet_1:.3f}（否则 {mpnet_0:.3f}），结束时为 {mpnet_end_1:.3f}（否则 {mpnet_end_0:.3f}）；minilm"
        " 的顶层也这样时，在 starter 上 {starter_1} 个 epoch 就超过 .5（否则要 {starter_0} 个）。",
    ),
    "about": ("validation MCC by epoch; one training for each line", "各 epoch 后的验证 MCC；每条线是一次训练"),
    "mpnet": ("mpnet on CoLA", "mpnet，CoLA"),
    "starter": ("minilm on starter", "minilm，starter"),
    "anew": ("top layers from random weights", "顶层从随机权重开始"),
    "kept": ("all layers as pre-trained", "所有层保持预训练的权重"),
    "epoch": ("epoch", "epoch"),
}
PANELS = ("mpnet", "starter")
HEIGHT = 150


def measure() -> Facts:
    """The scores by epoch that records/judgments.md has."""
    mpnet, starter = (table_on_record("judgments", f"By epoch: {name}") for name in ("mpnet", "minilm on starter"))
    late = [next(int(row[0]) for row in starter if row[column] > 0.5) for column in (1, 2)]
    return {
        "panels": {"mpnet": mpnet, "starter": starter},
        "mpnet_0": mpnet[0][1], "mpnet_1": mpnet[0][2], "mpnet_end_0": mpnet[-1][1], "mpnet_end_1": mpnet[-1][2],
        "starter_0": late[0], "starter_1": late[1],
    }  # fmt: skip


def draw(drawing: Drawing, words: Words, facts: Facts) -> None:
    """A panel for each encoder: two lines."""
    drawing.note(words("about"))
    for name in PANELS:
        rows = facts["panels"][name]
        lowest = 0.4 if name == "mpnet" else 0.0
        highest = 0.7 if name == "mpnet" else 1.0
        drawing.y += 18
        drawing.text(MARGIN, drawing.y, words(name), bold=True)
        base = drawing.y + 16 + HEIGHT
        across = Scale(1, rows[-1][0], MARGIN + 44, RIGHT - 10)
        up = Scale(lowest, highest, base, base - HEIGHT)
        ticks = [lowest + step * (highest - lowest) / 2 for step in range(3)]
        drawing.ticks_left(up, across.start, across.end, [(at, f"{at:.2f}") for at in ticks])
        for column, colour in ((1, "muted"), (2, "c0")):
            drawing.line([(across(row[0]), up(row[column])) for row in rows], colour, width=2.5)
        drawing.ticks_below(across, base, [(row[0], f"{row[0]:.0f}") for row in rows if row[0] == 1 or row[0] % 2 == 0])
        drawing.y = base + 34
    drawing.text(RIGHT, drawing.y, words("epoch"), size=SMALL, colour="muted", anchor="end")
    drawing.y += 16
    drawing.legend(MARGIN, drawing.y, [("line", "c0", words("anew")), ("line", "muted", words("kept"))])
    drawing.y += 44


FIGURES = (Figure("top-layers", TOP_LAYERS, measure, draw),)
