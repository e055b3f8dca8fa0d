"""Every code of an error, and what it says. A code never changes its meaning; the words of an error may be made better.

docs/errors.md is made from this table, and a test holds that every code is used. A code's second part is the error's
class: ``E-DATA-…`` is a `DataError`. One code stands for one kind of problem, not for one place in the code.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "E-DATA": "A file, a row or a label is not what it must be.",
    "E-ENCODER": "An encoder cannot be found, read or trusted.",
    "E-ENCODER-UNSAFE": "A file of the encoder could run code, or leads out of its folder.",
    "E-RESOURCE": "The machine lacks room, or a right, for what was asked.",
    "E-RESOURCE-DISK": "The disk has no room.",
    "E-RESOURCE-WRITE": "A place cannot be written.",
    "E-RUN": "A run folder is missing, incomplete or not a run.",
    "E-RUN-FILE": "A file of the run is missing, damaged or of the wrong form.",
    "E-RUN-LOCKED": "Another process is writing the same output.",
    "E-TRAINING": "Training cannot go on.",
    "E-USAGE": "The request itself is wrong.",
    "E-USAGE-EXTRA": "The work needs a package that is not installed.",
}
