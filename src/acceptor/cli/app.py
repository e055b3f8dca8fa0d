"""The command line: finds the commands, sets up logging, prints errors, sets exit codes."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import logging
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import completion
from typer.main import get_command

from acceptor import __version__
from acceptor.cli.help import FIRST_STEPS, Command, Group, examples_text, order_of
from acceptor.cli.output import write_output
from acceptor.cli.streams import ReaderGone, set_up_streams
from acceptor.environment import drop_empty_variables
from acceptor.errors import AcceptorError, UsageError, check_installed
from acceptor.runtime.garbage import collect_rarely
from acceptor.text import plain_lines

app = typer.Typer(
    name="acceptor",
    help="Fine-tune a BERT-family encoder into a judge of sentences.",
    epilog="Start with: acceptor demo",
    cls=Group,
    invoke_without_command=True,
    add_completion=False,  # `_options` has it
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def commands() -> Iterator[tuple[Callable[..., None], str]]:
    """All commands, each with its examples as text: each file in this folder with a function of the file's name."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    names = [module.name for module in found if module.name != "app" and not module.ispkg]
    for name in sorted(names, key=order_of):
        module = importlib.import_module(f"acceptor.cli.{name}")
        command = getattr(module, name, None)
        if inspect.isfunction(command):
            yield command, examples_text(module.EXAMPLES)


for command, examples in commands():
    app.command(cls=Command, epilog=examples)(command)


@functools.cache
def command_line() -> Any:
    """All commands with their options, as typer makes them of the functions."""
    return get_command(app)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"acceptor {__version__}")
        raise typer.Exit


completion.get_completion_inspect_parameters()  # makes the shells known to click


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="print the version and exit", is_eager=True, callback=_print_version)
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            help="complete commands in this shell, from now on",
            callback=completion.install_callback,
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion", help="print the completion for this shell", callback=completion.show_callback
        ),
    ] = False,
) -> None:
    """Typer's own completion options are None if not given, and to check them it would import pydantic."""
    if context.invoked_subcommand is None:
        typer.echo(FIRST_STEPS, nl=False)


def main() -> None:
    """Runs the command line and ends with the exit code: 0 done, 1 failed, 2 wrong usage, 130, 143.

    141, as after SIGPIPE, if the reader of stdout has closed it before the work was done.
    """
    collect_rarely()
    set_up_streams()
    drop_empty_variables()
    from acceptor.progress import console

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger = logging.getLogger("acceptor")
    logger.setLevel(logging.INFO)
    logger.addHandler(_ConsoleHandler())
    logger.propagate = False
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # raises, so that half-written folders are removed
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _send_again
    try:
        _run()
    except (AcceptorError, ImportError) as caught:
        if (code := _code_of_signal(caught)) is not None:
            sys.exit(code)
        error = _as_acceptor_error(caught)
        if "--json" in sys.argv:
            with contextlib.suppress(AcceptorError, ReaderGone):  # writing to stdout may be what failed
                write_output(error.to_dict(), (), as_json=True)
        console.print(f"acceptor: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except ReaderGone:
        sys.exit(141)
    except KeyboardInterrupt:  # before the command was called
        sys.exit(130)


def _check_current_folder() -> None:
    """Refuses to work in a folder that is gone: no relative path could be used, and torch would end the process."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise UsageError(
            "the current folder was removed or replaced",
            cause="a new run was written in its place, for instance; a shell stays in the old one",
            next="cd .",
            code="E-USAGE-OUTPUT",
        ) from error


def _send_again(lost: Any) -> None:
    """Sends a signal again whose exception was discarded, because it came while an object was being removed."""
    signals = {SystemExit: signal.SIGTERM, KeyboardInterrupt: signal.SIGINT}
    if lost.exc_type in signals:  # from another thread: what is raised in this function is discarded as well
        threading.Timer(0.05, os.kill, (os.getpid(), signals[lost.exc_type])).start()
    else:
        sys.__unraisablehook__(lost)


def _run() -> None:
    """Runs the command and flushes stdout, so that an error in that is reported and not lost at exit."""
    _check_current_folder()
    try:
        command_line()(prog_name="acceptor")  # else `python -m acceptor` would show another name than its commands have
    except SystemExit:
        with contextlib.suppress(ReaderGone):  # all work is done
            sys.stdout.flush()
        raise


def _code_of_signal(error: BaseException | None) -> int | None:
    """The exit code if a signal caused an error: an extension module that is imported turns it into an ImportError."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return 130
        if isinstance(error, SystemExit) and error.code == 143:  # of SIGTERM
            return 143
        error = error.__cause__ or error.__context__
    return None


def _as_acceptor_error(error: AcceptorError | ImportError) -> AcceptorError:
    """The error itself; for a missing module, an error that names the extra to install."""
    if isinstance(error, AcceptorError):
        return error
    try:
        check_installed(str(error.name))
    except AcceptorError as understood:
        return understood
    raise error


class _ConsoleHandler(logging.Handler):
    """Writes log lines to stderr, above the progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        from acceptor.progress import console

        text = self.format(record)  # with the traceback, if it is the log of an exception
        console.print(plain_lines(text), markup=False, highlight=False, soft_wrap=True)
