"""Every code of an error, and what it says. A code never changes its meaning; the words of an error may be made better.

docs/errors.md is made from this table, and a test holds that every code is used. A code's second part is the error's
class: ``E-DATA-…`` is a `DataError`. One code stands for one kind of problem, not for one place in the code.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "E-DATA": "A file, a row or a label is not what it must be.",
    "E-DATA-COLUMN": "A column is missing, or holds what it must not.",
    "E-DATA-COMPARE": "What is to be compared was judged on different sentences.",
    "E-DATA-LABELS": "Labels are missing, unknown, or not those of the judge.",
    "E-DATA-PAIRS": "Single sentences where pairs are needed, or the other way round; or half a pair.",
    "E-DATA-REJECTED": "Every row was rejected.",
    "E-DATA-ROW": "A row cannot be used.",
    "E-DATA-SPLIT": "A split is missing, has no labels, or too few examples.",
    "E-DATA-TYPE": "A value is of another type than it must be.",
    "E-ENCODER": "An encoder cannot be found, read or trusted.",
    "E-RESOURCE": "The machine lacks room, or a right, for what was asked.",
    "E-RESOURCE-CLUSTER": "A cluster does not answer, or cannot be started.",
    "E-RESOURCE-DISK": "The disk is full.",
    "E-RUN": "A run folder is missing, incomplete or not a run.",
    "E-RUN-CLUSTER": "Work on a cluster failed.",
    "E-RUN-EXPORT": "A judge cannot be exported so that the file answers as the run does; nothing was written.",
    "E-RUN-FILE": "A file of a run is missing, damaged or of the wrong form.",
    "E-RUN-MISSING": "There is no run at that path.",
    "E-RUN-NAN": "A judge computes logits that are not finite.",
    "E-RUN-PARTS": "Parts of an output are missing, or are not what was written.",
    "E-TRAINING": "Training cannot go on.",
    "E-TRAINING-NAN": "A loss, a gradient or a logit is not finite.",
    "E-USAGE": "The request itself is wrong.",
    "E-USAGE-CHANGED": "Data or settings differ from those that the work was started with.",
    "E-USAGE-CONDITION": "A condition on columns cannot be used.",
    "E-USAGE-CONFLICT": "Two options exclude each other.",
    "E-USAGE-DEVICE": "The device or precision asked for is not there.",
    "E-USAGE-EXTRA": "The work needs a package that is not installed.",
    "E-USAGE-JUDGE": "This judge cannot do that: it was exported, is on another device, or learnt other inputs.",
    "E-USAGE-OPTION": "An option or an argument has a value that cannot be used.",
    "E-USAGE-OUTPUT": "The output is taken, or cannot be that.",
}
