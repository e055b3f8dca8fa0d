"""The limits of a request, and the reading of its body within them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from acceptor.errors import RequestError
from acceptor.serve.access_log import note_sentences
from acceptor.storage.strict_json import parse_json_object
from acceptor.text import Json

BODY_BYTES = 2_000_000
SENTENCES = 1_024  # of one request
CHARACTERS = 10_000  # of one sentence
EXPLAINED = 32  # sentences of one request whose words are weighed: each is judged once for each of its words
HEADER_SECONDS, BODY_SECONDS = 10, 30
MESSAGES = 10_000  # pieces in which a body may arrive; each costs time, however small it is

Receive = Callable[[], Awaitable[Any]]


class ClientGone(Exception):  # noqa: N818 - no error of ours: nobody is there to be told
    """The client has closed the connection."""


async def read_object(headers: Mapping[str, str], receive: Receive) -> Json:
    """The JSON object in the body of a request.

    Raises:
        RequestError: It is too large, too slow or not complete; it is compressed; it is not one JSON object.
    """
    return parsed(await read_body(headers, receive))


def parsed(data: bytes) -> Json:
    """The JSON object in a body.

    Raises:
        RequestError: It is not one JSON object.
    """
    try:
        return parse_json_object(data, limit=BODY_BYTES)
    except ValueError as error:
        raise RequestError(
            "the body is not one JSON object",
            status=400,
            expected="an object in UTF-8, with each key once",
            found=str(error)[:200],
            code="E-REQUEST-BODY",
        ) from error


async def read_body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The body of a request, at most `BODY_BYTES`, read within `BODY_SECONDS`."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":  # a small compressed body can unpack to any size
        raise RequestError(
            "the body is compressed",
            status=415,
            expected="no content-encoding",
            found=f"content-encoding: {encoding[:20]}",
            code="E-REQUEST-TYPE",
        )
    declared = headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(BODY_BYTES)) or int(declared) > BODY_BYTES):
        raise _too_large(f"{declared[:20]} bytes")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _body(receive)
    except TimeoutError:
        raise RequestError(
            "the body did not arrive in time",
            status=408,
            expected=f"all of it within {BODY_SECONDS} s",
            code="E-REQUEST-SLOW",
        ) from None


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    for _ in range(MESSAGES):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError(
                "the body is not complete",
                status=400,
                expected="as many bytes as the headers say, or a last chunk",
                found=f"{len(body):,} bytes",
                code="E-REQUEST-BODY",
            )
        body += message.get("body", b"")
        if len(body) > BODY_BYTES:
            raise _too_large(f"more than {BODY_BYTES:,} bytes")
        if not message.get("more_body"):
            return bytes(body)
    raise _too_large(f"more than {MESSAGES:,} pieces")


def _too_large(found: str) -> RequestError:
    return RequestError(
        "the body is too large",
        status=413,
        expected=f"at most {BODY_BYTES:,} bytes",
        found=found,
        next="send fewer sentences at once",
        code="E-REQUEST-SIZE",
    )


def check_sentences(sentences: list[str], seconds: list[str] | None = None, *, most: int = SENTENCES) -> None:
    """Refuses too many sentences, and too long ones, before anything is computed.

    Raises:
        RequestError: There are too many, or too few; or one has too many characters.
    """
    note_sentences(len(sentences))
    if not 1 <= len(sentences) <= most:
        raise RequestError(
            "too many sentences" if sentences else "there are no sentences",
            status=413 if sentences else 422,
            expected=f"1 to {most:,}",
            found=f"{len(sentences):,}",
            code="E-REQUEST-SIZE" if sentences else "E-REQUEST-FIELD",
        )
    for texts in (sentences, seconds or []):
        long = [position for position, text in enumerate(texts) if len(text) > CHARACTERS]
        if long:
            refused = RequestError(
                "a sentence is too long",
                status=413,
                where=f"position {long[0]}",
                expected=f"at most {CHARACTERS:,} characters",
                found=f"{len(texts[long[0]]):,} characters",
                code="E-REQUEST-SIZE",
            )
            refused.positions = long
            raise refused
