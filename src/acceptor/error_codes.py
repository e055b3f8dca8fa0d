"""Every code of an error, and what it says. A code never changes its meaning; the words of an error may be made better.

docs/errors.md is made from this table, and a test holds that every code is used. A code's second part is the error's
class: ``E-DATA-…`` is a `DataError`. One code stands for one kind of problem, not for one place in the code.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "E-DATA": "A file, a row or a label is not what it must be.",
    "E-DATA-ANNOTATIONS": "Annotations are not those of the split, or hold no feature.",
    "E-DATA-CHECKSUM": "The files of a corpus are not the released ones.",
    "E-DATA-COLUMN": "A column is missing, occurs twice, or cannot be told from others.",
    "E-DATA-DAMAGED": "A file is damaged or cut short.",
    "E-DATA-DOWNLOAD": "A corpus could not be downloaded.",
    "E-DATA-EMPTY": "A file, or a table, has no rows.",
    "E-DATA-ENCODING": "A text file is not plain UTF-8.",
    "E-DATA-EXTRA": "The format of a file needs a package that is not installed.",
    "E-DATA-FORMAT": "The format of a file is unknown, or is not what its name says.",
    "E-DATA-LABELS": "A label is unknown, or the labels are not classes.",
    "E-DATA-MISSING": "A file or a folder of data does not exist, or a folder lacks a file.",
    "E-DATA-PAIRS": "Pairs and single sentences are mixed, or the two sides of pairs differ in number.",
    "E-DATA-QUOTES": "A quote in delimited text is out of place.",
    "E-DATA-ROW": "A row does not have the form of the other rows.",
    "E-DATA-SEPARATOR": "Another character separates the cells than the file's name says.",
    "E-DATA-SPLIT": "A split is missing, too small, or not clear.",
    "E-DATA-SPLITTER": "The sentence splitter changed the text that it was given.",
    "E-DATA-TEXT": "A text is empty, not a string, or holds a character that cannot be used.",
    "E-DATA-TSV": "A cell holds a tab or a line break, which TSV cannot.",
    "E-DATA-TYPE": "A Python object, or a column, has a type that cannot be used.",
    "E-DATA-UNLABELLED": "Rows have no label where one is needed.",
    "E-DATA-UNREADABLE": "The system refuses to open, read or list a file.",
    "E-DATA-UNSAFE": "A file unpacks to far too much, or names files outside of its folder.",
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
    "E-USAGE-ADDRESS": "An address has a kind or a form that is not known, or its host does not answer.",
    "E-USAGE-CHANGED": "Data or settings differ from those with which the work was begun.",
    "E-USAGE-CONFLICT": "Two arguments exclude each other.",
    "E-USAGE-EXTRA": "The work needs a package that is not installed.",
    "E-USAGE-INPUT": "An input cannot be read in the way that was asked for.",
    "E-USAGE-LABELS": "The labels that were given are not the judge's, or say nothing of acceptability.",
    "E-USAGE-OPTION": "An option or an argument has a value that cannot be used.",
    "E-USAGE-OUTPUT": "An output exists, is an input, or has a name or a place that cannot be used.",
    "E-USAGE-PAIRS": "Pairs were given to what takes single sentences alone, or the other way round.",
}
