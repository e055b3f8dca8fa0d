"""The command `acceptor` and `python -m acceptor`: the command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line. Ctrl-C ends it without a traceback also while its modules are being imported."""
    try:
        from acceptor.cli import app

        app.main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
