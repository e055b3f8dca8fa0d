"""`acceptor audit`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from acceptor.cli.options import DATA, AsJson, Quiet, is_column, takes_reading
from acceptor.cli.output import answer

EXAMPLES = (
    "acceptor audit train.tsv",
    "acceptor audit starter --encoder minilm --max-length 64",
)


@takes_reading
def audit(
    data: Annotated[str, typer.Argument(metavar="DATA", help="a corpus, a file or a folder")],
    encoder: Annotated[
        str | None, typer.Option(help="also show tokens and truncation for it", rich_help_panel=DATA)
    ] = None,
    max_length: Annotated[int, typer.Option(help="longest input in tokens", rich_help_panel=DATA)] = 128,
    reading: Any = None,
    of_column: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="column", help="take the splits from the column called split", rich_help_panel=DATA
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Look at data before training: duplicates, conflicts, leaks; shape, balance, lengths, ten rows, tokens."""
    from acceptor.cli import render
    from acceptor.data.auditing.audit import audit
    from acceptor.data.auditing.findings import findings, remarked
    from acceptor.data.load import inspect_data
    from acceptor.data.split import by_column

    examples, remarks = inspect_data(data, **reading)
    problems = [remarked(examples, role, remark) for role, remark in remarks]  # on the rows as read
    if is_column(of_column):
        examples, _ = by_column(examples)
    problems += findings(examples)
    content: dict[str, Any] = {}
    text: list[Any] = [*render.findings_text(problems), ""]
    for split in examples.splits:
        found = audit(split)
        content[split.name] = found.to_dict()
        text += [*render.audit_text(found), ""]
    if encoder:
        from acceptor.model.coverage import warn_of_special_tokens
        from acceptor.model.encode import token_report
        from acceptor.model.pretrained import find_encoder
        from acceptor.model.tokenizer import load_tokenizer

        tokenizer = load_tokenizer(find_encoder(encoder).folder)
        for split in examples.splits:
            warn_of_special_tokens(tokenizer, split.table)
            tokens = token_report(tokenizer, split.sentences, split.seconds, max_length=max_length)
            content[split.name]["tokens"] = tokens
            text += [f"{split.name} for {encoder}, at most {max_length} tokens"]
            text += [f"  {name:<11}{value}" for name, value in tokens.items()] + [""]
    content["findings"] = [problem.to_dict() for problem in problems]
    answer(content, text, as_json)
