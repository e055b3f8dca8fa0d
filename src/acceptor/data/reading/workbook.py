"""Reads an Excel workbook as a grid: its only sheet with rows, cells as Excel shows them."""

from __future__ import annotations

import importlib.util
import shlex

from acceptor.data.reading.grid import Grid
from acceptor.errors import DataError
from acceptor.text import listed


def workbook_grid(data: bytes, origin: str) -> Grid:
    """The rows of an .xlsx file; its first row may be a header, as in a CSV file.

    Raises:
        DataError: ``fastexcel`` is not installed; the file is damaged, or several sheets have rows.
    """
    command = f"soffice --headless --convert-to csv {shlex.quote(origin)}"
    if importlib.util.find_spec("fastexcel") is None:
        raise DataError(
            "an Excel workbook is read with fastexcel, which is not installed",
            where=origin,
            next=f"pip install 'acceptor[excel]'\nor save it as CSV: {command}",
            code="E-DATA-EXTRA",
        )
    import fastexcel

    try:
        book = fastexcel.read_excel(data)
        sheets = {name: book.load_sheet(name, header_row=None, dtypes="string") for name in book.sheet_names}
        sheets = {name: sheet for name, sheet in sheets.items() if sheet.height}
        if len(sheets) != 1:
            raise DataError(
                f"the workbook has {len(sheets)} sheets with rows",
                where=origin,
                expected="one",
                found=listed(list(sheets)) or "only empty ones",
                next="save the one sheet as CSV",
                code="E-DATA-FORMAT",
            )
        (sheet,) = sheets.values()
        columns = [[cell or "" for cell in column.to_list()] for column in sheet.to_polars().iter_columns()]
    except fastexcel.FastExcelError as error:
        raise DataError(
            "the Excel workbook is damaged",
            where=origin,
            cause=str(error).split("\n")[0],
            next=f"save it again, or as CSV: {command}",
            code="E-DATA-DAMAGED",
        ) from error
    kept = [row for row, cells in enumerate(zip(*columns, strict=True)) if any(cells)]
    columns = [[column[row] for row in kept] for column in columns]
    return Grid(origin, "row", None, columns, [row + 1 for row in kept], "Excel")
