"""`acceptor serve` with a leak that the benchmark must find: `python -m benchmarks.load.leaky RUN [OPTIONS]`.

The application is wrapped so that it keeps every request for ever.
"""

from __future__ import annotations

import sys
from typing import Any

from acceptor.cli.app import main
from acceptor.serve import server

KEPT: list[Any] = []
make_application = server.make_application


def make_leaky_application(*arguments: Any) -> Any:
    """The application of a worker, but it keeps every request."""
    inner = make_application(*arguments)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async def receive_and_keep() -> Any:
            message = await receive()
            KEPT.append((dict(scope), bytes(bytearray(message.get("body", b"")))))
            return message

        await inner(scope, receive_and_keep, send)

    return application


if __name__ == "__main__":
    server.make_application = make_leaky_application
    sys.argv = ["acceptor", "serve", *sys.argv[1:]]
    main()
