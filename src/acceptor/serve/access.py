"""Who may ask: whoever has the key; of a server without one, everyone but other web sites."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping

from acceptor.errors import RequestError
from acceptor.serve.settings import KEY_VARIABLE, ServeSettings

RESERVED = (".localhost", ".internal")  # no web site can have such a name; host.docker.internal is a container's host
SHOWN = 80  # characters of a header in an error


def check_access(headers: Mapping[str, str], method: str, settings: ServeSettings) -> None:
    """Lets a request through, or refuses it before its body is read.

    A key comes in a header that no page of another site can send. Without one, a browser on this machine would ask the
    server for any page that it shows: the page's site can give its own name this machine's address, and then read the
    answers as its own (DNS rebinding); or it can send a POST whose answer it cannot read, but that is computed.

    Raises:
        RequestError: The key is missing or wrong; or the request comes from another web site.
    """
    if settings.api_key is not None:
        _check_key(headers.get("authorization", ""), settings.api_key)
        return
    if not settings.no_auth:  # so the server listens on loopback, and has no other name
        _check_host(headers.get("host", ""))
    if method == "POST":
        _check_origin(headers, settings)


def _check_key(header: str, key: str) -> None:
    kind, _, given = header.partition(" ")
    if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), key.encode()):
        return
    raise RequestError(
        "the API key is wrong" if given else "this server needs an API key",
        status=401,
        expected="the header 'Authorization: Bearer KEY'",
        code="E-REQUEST-KEY",
    )


def _check_host(host: str) -> None:
    """Refuses names that a web site may have. Not addresses: who asks for one does not ask DNS, so it is no trick."""
    name = host.rpartition(":")[0] if _has_port(host) else host
    name = name.removesuffix(".").lower()
    if name in ("", "localhost") or name.endswith(RESERVED) or _is_address(name):
        return
    raise RequestError(
        "this server does not answer under that name, because it has no key",
        status=421,
        expected="localhost or an address in the header Host",
        found=host[:SHOWN],
        cause="a web site that gave its name this machine's address, or a proxy that passes its own name on",
        next=f"ask http://localhost:PORT; for a proxy, start the server with {KEY_VARIABLE}, or with --no-auth if only "
        "trusted clients reach it",
        code="E-REQUEST-HOST",
    )


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdecimal() and not _is_address(host)  # an address of IPv6 may come without brackets


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _check_origin(headers: Mapping[str, str], settings: ServeSettings) -> None:
    """Refuses a page of another site. Other programs send no Origin, or one that is no site's, as extensions do."""
    origin = headers.get("origin", "")
    scheme, _, place = origin.lower().partition("://")
    if scheme not in ("http", "https", "null") or origin in settings.origins:
        return
    # The browser's own word comes first: behind a proxy, Host may be another name than the page's.
    if headers.get("sec-fetch-site") == "same-origin" or place == headers.get("host", "").lower():
        return
    raise RequestError(
        "a page of another site may not use this server",
        status=403,
        expected="no header Origin, or the server's own",
        found=origin[:SHOWN],
        cause="a page that calls a server that is not its own, or a proxy that changes the header Host",
        next="if the page is yours, start the server with its site: --origin https://SITE",
        code="E-REQUEST-ORIGIN",
    )
