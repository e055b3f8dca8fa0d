"""Every code of an error, and what it says. A code never changes its meaning; the words of an error may be made better.

docs/errors.md is made from this table, and a test holds that every code is used. A code's second part is the error's
class: ``E-DATA-…`` is a `DataError`. One code stands for one kind of problem, not for one place in the code.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "E-DATA": "A file, a row or a label is not what it must be.",
    "E-DATA-VOCABULARY": "The encoder's vocabulary does not cover the text.",
    "E-ENCODER": "An encoder cannot be found, read or trusted.",
    "E-ENCODER-ARCHITECTURE": "The encoder's architecture is not supported.",
    "E-ENCODER-FILE": "A file of the encoder is missing, damaged or of the wrong form.",
    "E-ENCODER-MISSING": "No encoder of that name was found, or only a part of it.",
    "E-ENCODER-NAME": "The name of an encoder is a file, or a folder that hides a model of the hub.",
    "E-ENCODER-TOKENIZER": "The encoder's tokenizer cannot be read, is not supported or belongs to another model.",
    "E-ENCODER-UNSAFE": "A file of the encoder could run code, or leads out of its folder.",
    "E-RESOURCE": "The machine lacks room, or a right, for what was asked.",
    "E-RESOURCE-DISK": "The disk has no room.",
    "E-RESOURCE-PROCESSES": "The processes of one training did not meet.",
    "E-RESOURCE-WRITE": "A place cannot be written.",
    "E-RUN": "A run folder is missing, incomplete or not a run.",
    "E-RUN-COMPUTE": "ONNX Runtime cannot compute a batch.",
    "E-RUN-FILE": "A file of the run is missing, damaged or of the wrong form.",
    "E-RUN-LOCKED": "Another process is writing the same output.",
    "E-RUN-MISSING": "There is no run or judge at that place.",
    "E-RUN-MODEL": "The folder is a model, but not a judge.",
    "E-TRAINING": "Training cannot go on.",
    "E-TRAINING-COLLAPSE": "The judge gives every sentence the same verdict.",
    "E-TRAINING-NAN": "A loss or gradient is NaN or infinite.",
    "E-USAGE": "The request itself is wrong.",
    "E-USAGE-COMPILE": "The network cannot be compiled on this machine.",
    "E-USAGE-CONFLICT": "Two options exclude each other.",
    "E-USAGE-DEVICE": "This machine lacks the device that was asked for.",
    "E-USAGE-ENVIRONMENT": "An environment variable has an unusable value.",
    "E-USAGE-EXTRA": "The work needs a package that is not installed.",
    "E-USAGE-HEAD": "The encoder's head cannot be kept.",
    "E-USAGE-OPTION": "An option or argument has an unusable value.",
}
