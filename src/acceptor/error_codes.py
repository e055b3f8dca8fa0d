"""Every code of an error, and what it says. A code never changes its meaning; the words of an error may be made better.

docs/errors.md is made from this table, and a test holds that every code is used. A code's second part is the error's
class: ``E-DATA-…`` is a `DataError`. One code stands for one kind of problem, not for one place in the code.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "E-DATA": "A file, a row or a label is not what it must be.",
    "E-ENCODER": "An encoder cannot be found, read or trusted.",
    "E-RESOURCE": "The machine lacks room, or a right, for what was asked.",
    "E-RESOURCE-PROCESS": "A process that was started for a part of the work failed.",
    "E-RESOURCE-WRITE": "A place cannot be written.",
    "E-RUN": "A run folder is missing, incomplete or not a run.",
    "E-RUN-FILE": "A file of the run is missing, damaged or of the wrong form.",
    "E-TRAINING": "Training cannot go on.",
    "E-USAGE": "The request itself is wrong.",
    "E-USAGE-CONFLICT": "Two options exclude each other, or one needs another.",
    "E-USAGE-EXTRA": "The work needs a package that is not installed.",
    "E-USAGE-OPTION": "An option or argument has an unusable value.",
    "E-USAGE-OUTPUT": "The output is taken, or cannot be that.",
    "E-USAGE-PAIRS": "Pairs were given where single sentences are needed, or the other way round.",
}
