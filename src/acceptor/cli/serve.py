"""`acceptor serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from acceptor.cli.options import MACHINE, NETWORK, OUTPUT, Device, Precision, Quiet

EXAMPLES = (
    "acceptor serve runs/starter-minilm",
    "acceptor serve cola=runs/cola.onnx starter=runs/starter-minilm --port 9000",
    "acceptor serve runs/cola --host 0.0.0.0 --api-key KEY --workers 2",
)

Judges = Annotated[list[str], typer.Argument(metavar="[NAME=]RUN…", help="run folders, or exported judges: FILE.onnx")]
Host = Annotated[str, typer.Option(help="the address to listen on", rich_help_panel=NETWORK)]
Port = Annotated[int, typer.Option(help="the port; 0: a free one", rich_help_panel=NETWORK)]
ApiKey = Annotated[
    str | None,
    typer.Option(
        help="what clients send as 'Authorization: Bearer KEY'; prefer the environment variable, which ps does not "
        "show",
        envvar="ACCEPTOR_API_KEY",
        show_envvar=True,
        rich_help_panel=NETWORK,
    ),
]
NoAuth = Annotated[
    bool,
    typer.Option("--no-auth", help="without a key, listen on any address and answer any name", rich_help_panel=NETWORK),
]
Origins = Annotated[
    list[str] | None, typer.Option("--origin", help="a site whose pages may call this server", rich_help_panel=NETWORK)
]
DrainDelay = Annotated[
    float,
    typer.Option(help="seconds after SIGTERM in which it still answers, but is not ready", rich_help_panel=NETWORK),
]
DrainTimeout = Annotated[
    float, typer.Option(help="seconds that requests have to finish after that", rich_help_panel=NETWORK)
]
Question = Annotated[
    str | None,
    typer.Option(help="what the judges answer in /v1/decisions [The sentence is LABEL.]", rich_help_panel=OUTPUT),
]
AccessLog = Annotated[
    bool,
    typer.Option(
        "--access-log",
        help="a line for each request: method, path, status, time, number of sentences; no text",
        rich_help_panel=OUTPUT,
    ),
]
Workers = Annotated[
    int, typer.Option(help="processes; on Linux and a CPU they share the weights", rich_help_panel=MACHINE)
]
MaxWait = Annotated[
    float,
    typer.Option(
        "--max-wait-ms",
        help="how long a batch waits for more sentences while others are computed",
        rich_help_panel=MACHINE,
    ),
]
MaxQueue = Annotated[
    int,
    typer.Option(
        help="most tokens in each judge's queue; a request beyond waits for a while, then gets 429",
        rich_help_panel=MACHINE,
    ),
]
Timeout = Annotated[float, typer.Option(help="seconds after which a request is given up", rich_help_panel=MACHINE)]


def serve(
    judges: Judges,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    api_key: ApiKey = None,
    no_auth: NoAuth = False,
    origins: Origins = None,
    drain_delay: DrainDelay = 1.0,
    drain_timeout: DrainTimeout = 30.0,
    workers: Workers = 1,
    max_wait: MaxWait = 2.0,
    max_queue: MaxQueue = 1_000_000,
    timeout: Timeout = 30.0,
    device: Device = None,
    precision: Precision = None,
    question: Question = None,
    access_log: AccessLog = False,
    quiet: Quiet = False,
) -> None:
    """Serve judges over HTTP, with a page at the same address.

    Programs ask /v1/judge, or in the formats of Text Embeddings Inference, vLLM and the Open Inference Protocol: see
    /docs. On SIGTERM the server answers the requests that it has accepted and exits; on SIGHUP it reloads the judges.
    """
    from acceptor.serve.server import serve as serve_judges
    from acceptor.serve.settings import ServeSettings, named_judges

    serve_judges(
        ServeSettings(
            judges=named_judges(judges),
            host=host.strip("[]"),  # as a URL has an address of IPv6
            port=port,
            api_key=api_key,
            no_auth=no_auth,
            origins=tuple(origins or ()),
            question=question,
            access_log=access_log,
            workers=workers,
            device=device,
            precision=precision,
            max_wait=max_wait / 1000,
            max_queue=max_queue,
            timeout=timeout,
            drain_delay=drain_delay,
            drain_timeout=drain_timeout,
        )
    )
