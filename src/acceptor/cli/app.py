"""The command line: all commands, logging, errors, exit codes. The only place that exits and sets up logging."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from typing import Annotated

import typer

from acceptor import __version__
from acceptor.cli.audit import audit
from acceptor.cli.bench import bench
from acceptor.cli.compare import compare
from acceptor.cli.corpora import corpora
from acceptor.cli.doctor import doctor
from acceptor.cli.encoders import encoders
from acceptor.cli.evaluate import evaluate
from acceptor.cli.export import export
from acceptor.cli.judge import judge
from acceptor.cli.output import say
from acceptor.cli.pairs import pairs
from acceptor.cli.predict import predict
from acceptor.cli.report import report
from acceptor.cli.search import search
from acceptor.cli.seeds import seeds
from acceptor.cli.streams import ReaderGone, set_up_streams
from acceptor.cli.train import train
from acceptor.environment import drop_empty_variables
from acceptor.errors import AcceptorError, check_installed
from acceptor.text import plain_lines

COMMANDS = (
    train,
    seeds,
    search,
    evaluate,
    predict,
    judge,
    compare,
    pairs,
    report,
    export,
    audit,
    corpora,
    encoders,
    bench,
    doctor,
)
"""In the order of the help; each stands in the file of its name."""

app = typer.Typer(
    name="acceptor",
    help="Fine-tune a BERT-family encoder into a judge of sentences.",
    epilog="Begin with: acceptor train starter --encoder minilm",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    app.command()(command)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"acceptor {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="print the version and exit", is_eager=True, callback=_tell_version)
    ] = False,
) -> None: ...


def main() -> None:
    """Runs the command line and ends with the exit code: 0 done, 1 failed, 2 wrong usage, 130, 143.

    141, as a shell says of other tools, where whoever read the answers has left before all work was done.
    """
    set_up_streams()
    drop_empty_variables()
    from acceptor.progress import console

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger = logging.getLogger("acceptor")
    logger.setLevel(logging.INFO)
    logger.addHandler(_OnConsole())
    logger.propagate = False
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so half-written folders vanish
    try:
        _run()
    except (AcceptorError, ModuleNotFoundError) as caught:
        error = _understood(caught)
        if "--json" in sys.argv:
            with contextlib.suppress(AcceptorError, ReaderGone):  # it may be this that failed
                say(error.to_dict(), (), as_json=True)
        console.print(f"acceptor: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except ReaderGone:
        sys.exit(141)


def _run() -> None:
    """The command, and all that it said on its way out: what fails there fails here, not when Python ends."""
    try:
        app()
    except SystemExit:
        with contextlib.suppress(ReaderGone):  # all work is done
            sys.stdout.flush()
        raise


def _understood(error: AcceptorError | ModuleNotFoundError) -> AcceptorError:
    """The error; for a module that an extra brings, which extra."""
    if isinstance(error, AcceptorError):
        return error
    try:
        check_installed(str(error.name))
    except AcceptorError as understood:
        return understood
    raise error


class _OnConsole(logging.Handler):
    """Log lines on stderr, above a progress bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        from acceptor.progress import console

        console.print(plain_lines(record.getMessage()), markup=False, highlight=False, soft_wrap=True)
