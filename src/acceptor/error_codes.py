"""Every code of an error, and what it says. A code never changes its meaning; the words of an error may be made better.

docs/errors.md is made from this table, and a test holds that every code is used. A code's second part is the error's
class: ``E-DATA-…`` is a `DataError`. One code stands for one kind of problem, not for one place in the code.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "E-DATA": "A file, a row or a label is not what it must be.",
    "E-DATA-COLUMN": "A column is missing, or its role is not clear.",
    "E-DATA-COMPARE": "The systems that are compared judged different examples or know different labels.",
    "E-DATA-SPLIT": "The data cannot be divided as asked.",
    "E-ENCODER": "An encoder cannot be found, read or trusted.",
    "E-RESOURCE": "The machine lacks room, or a right, for what was asked.",
    "E-RESOURCE-DISK": "The disk is full, or has no room for what is to be written.",
    "E-RUN": "A run folder is missing, incomplete or not a run.",
    "E-RUN-CHECKPOINT": "There is no checkpoint to resume from, or it is not of this training.",
    "E-RUN-FILE": "A file of a run is missing or damaged, or a field of it has the wrong type.",
    "E-RUN-FORMAT": "A file of a run was written by a newer version of Acceptor.",
    "E-RUN-MISSING": "There is no finished run in this folder.",
    "E-RUN-UNFINISHED": "A training of a set, or its process, ended before it was finished.",
    "E-TRAINING": "Training cannot go on.",
    "E-TRAINING-COLLAPSE": "The judge gives every sentence the same verdict.",
    "E-USAGE": "The request itself is wrong.",
    "E-USAGE-CHANGED": "Data or settings differ from those that the work was started with.",
    "E-USAGE-CONFLICT": "Two options, or an option and the situation, exclude each other.",
    "E-USAGE-EXTRA": "The work needs a package that is not installed.",
    "E-USAGE-OPTION": "An option or argument has a value that cannot be used.",
    "E-USAGE-OUTPUT": "The output is taken, or cannot be that path.",
}
