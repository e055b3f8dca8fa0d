"""The settings of a server, validated."""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from acceptor.errors import UsageError

KEY_VARIABLE = "ACCEPTOR_API_KEY"
ORIGIN = r"https?://[a-z0-9.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?"  # no path, and in lower case
CONNECTIONS = 16_384  # open at the same time, in each worker, where the limit of open files allows it
COUNTERS_PREFIX = "acceptor-serve-"  # of the temporary folder with the counters of all workers


@dataclass(frozen=True)
class ServeSettings:
    """What `acceptor serve` was told.

    Attributes:
        judges: Name to run folder or exported file; the first one answers requests that name none.
        host: The address to listen on.
        port: The port; 0 for a free one.
        api_key: What clients send as ``Authorization: Bearer KEY``; None if anyone may ask.
        no_auth: Without a key, listen on another address than loopback, or answer under another name than localhost.
        origins: Origins whose pages may call the server (CORS), besides its own.
        question: The question that the judges answer, for clients that ask questions; None for that of their labels.
        access_log: Log a line for each request.
        workers: Processes.
        device: As for `load`.
        precision: As for `load`.
        max_wait: How long a forward pass that is not full waits for more inputs while others are computed, in seconds.
        max_queue: The bound of tokens in each judge's queue.
        timeout: Seconds after which a request is given up.
        drain_delay: Seconds between SIGTERM, which makes the server say that it is not ready, and its end.
        drain_timeout: Seconds that requests in progress have to finish after that.
        connections: Open at the same time, in each worker; more wait until one is closed.
    """

    judges: Mapping[str, str]
    host: str = "127.0.0.1"
    port: int = 8000
    api_key: str | None = field(default=None, repr=False)
    no_auth: bool = False
    origins: tuple[str, ...] = ()
    question: str | None = None
    access_log: bool = False
    workers: int = 1
    device: str | None = None
    precision: str | None = None
    max_wait: float = 0.002
    max_queue: int = 1_000_000
    timeout: float = 30.0
    drain_delay: float = 1.0
    drain_timeout: float = 30.0
    connections: int = CONNECTIONS

    def __post_init__(self) -> None:
        """Refuses what cannot work, and what would be open to everyone by mistake.

        Raises:
            UsageError: A value is out of range; or the address is not loopback, and there is no key.
        """
        for option, value, right, expected in (
            ("--port", self.port, 0 <= self.port < 65536, "0 to 65535"),
            ("--workers", self.workers, self.workers >= 1, "at least 1"),
            ("--max-wait-ms", self.max_wait * 1000, 0 <= self.max_wait <= 1, "0 to 1,000 ms"),
            ("--max-queue", self.max_queue, self.max_queue >= 1, "at least 1 token"),
            ("--timeout", self.timeout, 0 < self.timeout < math.inf, "more than 0 s, and finite"),
            ("--drain-delay", self.drain_delay, 0 <= self.drain_delay < math.inf, "at least 0 s, and finite"),
            ("--drain-timeout", self.drain_timeout, 1 <= self.drain_timeout < math.inf, "at least 1 s, and finite"),
        ):
            if not right:
                raise UsageError(
                    f"{option} is out of range", expected=expected, found=f"{value:,}", code="E-USAGE-OPTION"
                )
        key = self.api_key
        if key is not None and not (len(key) >= 8 and key.isascii() and key.isprintable() and key == key.strip()):
            raise UsageError(
                "the API key cannot be used",
                expected="8 or more printable ASCII characters, with no blank at either end",
                found=f"{len(key)} characters",
                cause=None if key else "a variable that is not set, in the command",
                next="make one: python -c 'import secrets; print(secrets.token_urlsafe())'",
                code="E-USAGE-OPTION",
            )
        if not (self.api_key or self.no_auth or is_loopback(self.host)):
            raise UsageError(
                f"anyone who reaches {self.host} could use this server",
                expected="an API key, or an address of this machine alone, such as 127.0.0.1",
                next=f"set {KEY_VARIABLE}, which clients send as 'Authorization: Bearer KEY'; or add --no-auth if the "
                "network itself is protected",
                code="E-USAGE-KEY",
            )
        for origin in self.origins:
            if not re.fullmatch(ORIGIN, origin):
                raise UsageError(
                    "an origin cannot be read",
                    expected="the scheme and host of one site, as browsers send it: https://example.org",
                    found=origin,
                    code="E-USAGE-OPTION",
                )


def is_loopback(host: str) -> bool:
    """True if only programs on this machine reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def named_judges(given: list[str]) -> dict[str, str]:
    """Judges by name, from arguments such as ``runs/cola`` or ``cola=runs/cola``.

    Without a name it is the path's last part without its suffix.

    Raises:
        UsageError: Two have the same name.
    """
    judges: dict[str, str] = {}
    for one in given:
        name, equals, run = one.partition("=")
        if not equals or os.sep in name:
            name, run = os.path.basename(os.path.abspath(one)).removesuffix(".onnx"), one
        if name in judges or not name or not run or "/" in name:
            raise UsageError(
                f"two judges are called {name!r}" if name in judges else "a judge cannot be read",
                expected="NAME=RUN, each name once",
                found=one,
                code="E-USAGE-OPTION",
            )
        judges[name] = run
    return judges
