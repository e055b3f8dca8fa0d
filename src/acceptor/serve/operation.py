"""`Operation`: one method and path of the server, with the models of its body and its answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from starlette.requests import Request

from acceptor.errors import RequestError
from acceptor.serve.limits import Receive, read_object
from acceptor.serve.service import Service
from acceptor.text import Json

ErrorBody = Callable[[RequestError], Json]

T = TypeVar("T")
Listed = Annotated[list[T], Field(fail_fast=True)]
"""A list in a body, checked up to its first faulty element: a million errors would stop the event loop for seconds."""


class Strict(BaseModel):
    """A body whose fields are all known, with the types that they have in JSON."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Lenient(BaseModel):
    """A body in another server's format: fields that Acceptor does not use are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class ErrorDetails(Strict):
    """What went wrong."""

    code: str
    message: str
    next: str | None = None
    positions: Annotated[
        list[int] | None, Field(description="of all sentences that are refused for this reason, from 0")
    ] = None


class Error(Strict):
    """The body of every error of ``/v1``."""

    error: ErrorDetails


def error_body(error: RequestError) -> Json:
    """An error as ``/v1`` tells it."""
    more = {"next": error.details.get("next"), "positions": error.positions}
    return {"error": {"code": error.code, "message": message_of(error)} | {name: it for name, it in more.items() if it}}


def message_of(error: RequestError) -> str:
    """The problem in one line, with where it is, what was expected and what was found."""
    details = [f"{name} {error.details[name]}" for name in ("where", "expected", "found") if name in error.details]
    return " · ".join([error.problem, *details])


@dataclass(frozen=True)
class Operation:
    """One method and path.

    Attributes:
        method: GET or POST.
        path: With ``{name}`` for a part that varies.
        answer: From the service, the request and its body (of the type ``body``; None without) to the content.
        summary: What it does, in a line.
        body: The model of the body; None if it has none.
        content: The model of the answer; None if it has no fixed one.
        error_body: An error in the format of this path.
        error: The model of that.
        is_open: Answers without a key.
        statuses: The statuses of its answers.
        read: Reads the body, as JSON for ``body``.
        media_type: What its answers are.
    """

    method: str
    path: str
    answer: Callable[[Service, Request, Any], Awaitable[Any]]
    summary: str
    body: type[BaseModel] | None = None
    content: type[BaseModel] | None = None
    error_body: ErrorBody = error_body
    error: type[BaseModel] = Error
    is_open: bool = False
    statuses: tuple[int, ...] = (200,)
    read: Callable[[Mapping[str, str], Receive], Awaitable[Json]] = read_object
    media_type: str = "application/json"


def validated(model: type[BaseModel], body: Json) -> Any:
    """The body as its model.

    Raises:
        RequestError: A field is missing, unknown or has a wrong type.
    """
    try:
        return model.model_validate(_with_one_unknown(model, body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = model.model_fields.get(str(first["loc"][0])) if first["loc"] else None
        if field and has_forms(field):  # pydantic's first error is of the first form, whichever was meant
            where, expected = str(first["loc"][0]), field.description or ""
        else:
            where = ".".join(map(str, first["loc"])) or "the body"
            expected = _expected(first["type"], first["msg"], model if len(first["loc"]) == 1 else None)
        raise RequestError(
            "the body has another form than expected",
            status=422,
            where=where[:200],
            expected=expected[:200],
            next="/docs shows the form of every body",
            code="E-REQUEST-FIELD",
        ) from error


def _expected(kind: str, message: str, model: type[BaseModel] | None) -> str:
    """What was expected where pydantic found an error: its message as a noun. ``model`` has the fields, if known."""
    if kind == "missing":
        return "this field, which is missing"
    if kind == "extra_forbidden":
        return "no such field" + (f", but {', '.join(model.model_fields)}" if model else "")
    words = re.sub(r"^(Value error, |\w+ should (be|have) )", "", message).replace(" after validation", "")
    return re.sub(r"dictionary or instance of \w+", "object", words)


def has_forms(field: FieldInfo) -> bool:
    """True if a field may have one of several forms, such as a text or a list; its description has all of them."""
    is_union = get_origin(field.annotation) in (Union, UnionType)
    return is_union and sum(form is not NoneType for form in get_args(field.annotation)) > 1


def _with_one_unknown(model: type[BaseModel], body: Json) -> Json:
    """The body with the first field alone of those that its model refuses, since each would be an error."""
    unknown = [name for name in body if name not in model.model_fields]
    if model.model_config.get("extra") != "forbid" or len(unknown) < 2:
        return body
    known = {name: body[name] for name in model.model_fields if name in body}
    return known | {unknown[0]: body[unknown[0]]}


def no_path(problem: str, status: int = 404) -> RequestError:
    """The error of a path that does not exist, or not with that method."""
    return RequestError(problem, status=status, next="/docs lists all paths", code="E-REQUEST-PATH")
