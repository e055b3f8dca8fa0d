"""The page at ``/``: static files, with a strict content security policy."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from acceptor.page import SERVED, read
from acceptor.serve.operation import Operation, no_path
from acceptor.serve.service import Service

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}
"""Those of all pages."""


async def index(service: Service, request: Request, body: None) -> Response:
    """The page."""
    return _file("index.html")


async def file(service: Service, request: Request, body: None) -> Response:
    """A file of the page."""
    return _file(request.path_params["file"])


def _file(name: str) -> Response:
    if name not in SERVED:
        raise no_path(f"there is no file {name[:80]!r}")
    return Response(read(name).encode(), headers=HEADERS, media_type=SERVED[name])


OPERATIONS = (
    Operation("GET", "/", index, "The page", is_open=True, media_type="text/html"),
    Operation("GET", "/page/{file}", file, "A file of the page", is_open=True, media_type="*/*"),
)
