"""Every code of an error, and what it says. A code never changes its meaning; the words of an error may be made better.

docs/errors.md is made from this table, and a test holds that every code is used. A code's second part is the error's
class: ``E-DATA-…`` is a `DataError`. One code stands for one kind of problem, not for one place in the code.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "E-DATA": "A file, a row or a label is not what it must be.",
    "E-DATA-PAIRS": "Single sentences where pairs are needed, or the other way round; or half a pair.",
    "E-DATA-REJECTED": "Every row was rejected.",
    "E-DATA-ROW": "A row cannot be used.",
    "E-ENCODER": "An encoder cannot be found, read or trusted.",
    "E-RESOURCE": "The machine lacks room, or a right, for what was asked.",
    "E-RUN": "A run folder is missing, incomplete or not a run.",
    "E-RUN-FILE": "A file of a run is missing, damaged or of the wrong form.",
    "E-RUN-MISSING": "There is no run at that path.",
    "E-TRAINING": "Training cannot go on.",
    "E-USAGE": "The request itself is wrong.",
    "E-USAGE-CONDITION": "A condition on columns cannot be used.",
    "E-USAGE-CONFLICT": "Two options exclude each other.",
    "E-USAGE-DEVICE": "The device or precision asked for is not there.",
    "E-USAGE-EXTRA": "The work needs a package that is not installed.",
    "E-USAGE-JUDGE": "This judge cannot do that: it was exported, is on another device, or learnt other inputs.",
    "E-USAGE-OPTION": "An option or an argument has a value that cannot be used.",
}
