"""The description of all operations: OpenAPI 3.1, and a page made from it that needs no other site."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from acceptor import __version__
from acceptor.serve.operation import Operation
from acceptor.text import Json

SCHEMAS = "#/components/schemas/"
REFUSALS = {
    "4XX": "The request is refused; the body says why",
    "5XX": "The server is busy, about to stop, or failed; with Retry-After where another try may succeed",
}


def openapi_document(operations: Sequence[Operation]) -> Json:
    """The OpenAPI document."""
    models = {model for one in operations for model in (one.body, one.content, one.error) if model}
    ordered = sorted(models, key=lambda model: model.__name__)
    models_and_modes: list[tuple[Any, Literal["validation"]]] = [(model, "validation") for model in ordered]
    names, schemas = models_json_schema(models_and_modes, ref_template=SCHEMAS + "{model}")
    paths: Json = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, names)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Acceptor", "version": __version__, "description": "Judges sentences."},
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Operation, names: Any) -> Json:
    def content(model: Any, media_type: str = "application/json") -> Json:
        schema = names[model, "validation"] if model else {}
        return {media_type: {"schema": schema}}

    refused = content(one.error)
    answer = content(one.content, one.media_type)
    done = {str(status): {"description": "Done", "content": answer} for status in one.statuses}
    found: Json = {
        "summary": one.summary,
        "operationId": f"{one.method.lower()}{re.sub(r'[^a-zA-Z0-9]+', '_', one.path)}".rstrip("_"),
        "responses": done | {status: {"description": text, "content": refused} for status, text in REFUSALS.items()},
    }
    parameters = re.findall(r"\{(\w+)\}", one.path)
    if parameters:
        found["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters
        ]
    if one.body:
        found["requestBody"] = {"required": True, "content": content(one.body)}
    if not one.is_open:
        found["security"] = [{}, {"key": []}]
    return found


def as_page(document: Json) -> str:
    """The document as HTML without scripts: for each operation the fields of its body and of its answer."""
    sections, links = [], []
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            name, title = one["operationId"], f"{method.upper()} {html.escape(path)}"
            links.append(f'<li><a href="#{name}"><code>{title}</code></a> {html.escape(one["summary"])}</li>')
            body = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            [answer] = next(iter(one["responses"].values()))["content"].values()
            tables = _fields("Body", body, document) + _fields("Answer", answer["schema"], document)
            sections.append(
                f'<section id="{name}"><h2><code>{title}</code></h2><p>{one["summary"]}.</p>{tables}</section>'
            )
    return PAGE.replace("LINKS", "".join(links)).replace("SECTIONS", "".join(sections))


def _fields(title: str, schema: Json | None, document: Json) -> str:
    """A table of the fields of an object; nothing for what has none."""
    fields = _resolved(schema or {}, document).get("properties", {})
    rows = [
        f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(_type(field, document))}</td>"
        f"<td>{html.escape(field.get('description', ''))}</td></tr>"
        for name, field in fields.items()
    ]
    head = f"<thead><tr><th>{title}</th><th>type</th><th>meaning</th></tr></thead>"
    return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>" if rows else ""


def _resolved(schema: Json, document: Json) -> Json:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _type(schema: Json, document: Json) -> str:
    """The type of a field in words: ``list of string``; an object by the names of its fields."""
    schema = _resolved(schema, document)
    if "anyOf" in schema:
        kinds = dict.fromkeys(_type(one, document) for one in schema["anyOf"] if one.get("type") != "null")
        return " or ".join(kinds)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), document)}"
    if "properties" in schema:
        return "{" + ", ".join(schema["properties"]) + "}"
    if "const" in schema or "enum" in schema:
        return " or ".join(json.dumps(one) for one in schema.get("enum", [schema.get("const")]))
    return str(schema.get("type", "any"))


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Operations · Acceptor</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page/page.css">
</head>
<body class="docs">
<header class="top"><div class="wide"><p class="brand"><a href="./">Acceptor</a></p></div></header>
<main class="wide">
<h1>Operations</h1>
<p class="lede">For programs: <a href="openapi.json">openapi.json</a>, in OpenAPI 3.1.</p>
<ul>LINKS</ul>
SECTIONS
</main>
</body>
</html>
"""
