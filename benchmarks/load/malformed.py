"""Malformed bodies from a seeded mutator, over every POST path: none may fail inside the server, none may hang."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections import Counter
from typing import Any

from benchmarks.load.checks import Check, Part
from benchmarks.load.processes import Server
from benchmarks.load.texts import Material

HUNG_SECONDS = 40
QUESTION = {"type": "predicate", "instructions": "The sentence is acceptable.", "name": None}
TENSOR = {"name": "sentences", "shape": [1], "datatype": "BYTES"}
BODIES: dict[str, dict[str, Any]] = {  # a valid body of each path
    "/v1/judge": {"sentences": ["The cats sleep."], "all_scores": True, "model": None},
    "/v1/explain": {"sentences": ["The cats sleep."]},
    "/v1/compare": {"first": "The cats sleep.", "second": "The cats sleeps."},
    "/v2/models/{model}/infer": {"inputs": [TENSOR | {"data": ["The cats sleep."]}], "id": "1"},
    "/v2/models/{model}/versions/{version}/infer": {"inputs": [TENSOR | {"data": ["The cats sleep."]}]},
    "/predict": {"inputs": [["The cats sleep."]], "raw_scores": False, "truncate": True},
    "/": {"inputs": "The cats sleep.", "parameters": {"top_k": 1, "function_to_apply": "softmax"}},
    "/classify": {"input": ["The cats sleep."], "model": None},
    "/v1/classify": {"input": "The cats sleep."},
    "/v1/decisions": {"model": "JUDGE", "input": "The cats sleep.", "questions": [QUESTION]},
    "/admin/reload": {},
}
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, 10**400, "", " ", "\u0000", "\ud800", "\U0010ffff", "a" * 20_000, [], {}, [[]], [None],
    ["a"] * 2_000, [[["a"]]], {"a": {"a": {}}}, "[MASK][SEP]", "１２", "́" * 500,
)  # fmt: skip


def malformed_bodies(material: Material, server: Server) -> Part:
    """Sends mutated bodies, of each path in turn."""
    tries = 200 if material.quick else 2_000
    draw = random.Random(0)
    paths = _paths(server)
    model = json.loads(server.get("/v1/models")[1])["models"][0]
    found: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []
    longest = 0.0
    for number in range(tries):
        path = paths[number % len(paths)]
        body, headers = mutated(path, model["name"], draw)
        place = path.format(model=model["name"], version=model["version"][:12])
        began = time.perf_counter()
        outcome = _sent(server.port, place, body, headers)
        longest = max(longest, time.perf_counter() - began)
        found[outcome] += 1
        if not outcome.isdecimal() or (outcome[0] == "5" and outcome != "503"):
            failures.append({"path": place, "outcome": outcome, "headers": headers, "body": repr(body)[:2_000]})
    is_ready = server.status("/health/ready") == 200
    failed = sum(count for outcome, count in found.items() if outcome[0] == "5" and outcome != "503")
    others = sum(count for outcome, count in found.items() if not outcome.isdecimal())
    figures = {
        "bodies": tries,
        "paths": len(paths),
        "outcomes": dict(sorted(found.items())),
        "failures": failures[:10],
        "longest_seconds": longest,
        "ready_afterwards": is_ready,
    }
    shown = ", ".join(f"{outcome}: {count:,}" for outcome, count in sorted(found.items()))
    what = f"{tries:,} malformed bodies over {len(paths)} paths"
    return Part(
        [
            Check(f"{what}: 5xx", f"{failed} ({shown})", "0", not failed),
            Check(f"{what}: hung, closed, or refused without JSON", str(others), "0", not others),
        ],
        figures,
    )


def _paths(server: Server) -> list[str]:
    """All POST paths of the description, each of which must have a valid body here."""
    described = json.loads(server.get("/openapi.json")[1])["paths"]
    paths = sorted(path for path, methods in described.items() if "post" in methods)
    if missing := set(paths) - BODIES.keys():
        raise SystemExit(f"benchmarks/load/malformed.py has no valid body for {', '.join(sorted(missing))}")
    return paths


def mutated(path: str, model: str, draw: random.Random) -> tuple[bytes, dict[str, str]]:
    """A valid body of the path with one to three changes: of its values, of its text, or of its bytes."""
    body = json.loads(json.dumps(BODIES[path]).replace("JUDGE", model))
    headers = {"content-type": "application/json"}
    for _ in range(draw.randrange(1, 3)):
        body = _changed(body, draw)
    data = json.dumps(body, ensure_ascii=draw.random() < 0.8).encode("utf-8", "surrogatepass")
    if draw.random() < 0.4:
        data = _damaged(data, draw)
    if path.endswith("/infer") and draw.random() < 0.4:
        data, headers = _as_binary(draw, headers)
    return data, headers


def _changed(value: Any, draw: random.Random) -> Any:
    """The value with one of its parts replaced, removed, renamed or doubled."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(list(value))
        kind = draw.randrange(4)
        if kind == 0:
            return {name: each for name, each in value.items() if name != key}
        if kind == 1:
            return {name + "x" * (name == key): each for name, each in value.items()}
        return value | {key: _changed(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.7:
        place = draw.randrange(len(value))
        changed = (
            [value[place], _changed(value[place], draw)] if draw.random() < 0.3 else [_changed(value[place], draw)]
        )
        return [*value[:place], *changed, *value[place + 1 :]]
    return draw.choice(VALUES)


def _damaged(data: bytes, draw: random.Random) -> bytes:
    """Bytes with one piece removed, doubled, replaced or inserted."""
    start = draw.randrange(len(data) + 1)
    end = min(len(data), start + draw.randrange(1, 12))
    pieces = (
        b"", data[start:end] * 2, draw.randbytes(end - start), b"[" * 5_000, b'{"a":' * 3_000, b"NaN", b"-Infinity",
        b"9" * 5_000, b"\xff\xfe", b"\\ud800", b'"a":1,"a":2,', b"\x00",
    )  # fmt: skip
    return data[:start] + draw.choice(pieces) + data[end:]


def _as_binary(draw: random.Random, headers: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    """A body of tensors in bytes, with lengths that may be wrong."""
    text = b"The cats sleep." + draw.randbytes(draw.randrange(3))
    packed = (len(text) + draw.choice((0, 0, -1, 1, 2**31))).to_bytes(4, "little") + text
    size = draw.choice((len(packed), len(packed) - 1, 0, -1, 10**12, True, "1", None))
    head = json.dumps({"inputs": [TENSOR | {"parameters": {"binary_data_size": size}}]}).encode()
    length = draw.choice((str(len(head)), str(len(head) + 1), "0", "-1", "9" * 30, "²", "x"))
    return head + packed, headers | {"inference-header-content-length": length}


def _sent(port: int, path: str, body: bytes, headers: dict[str, str]) -> str:
    """The status of the answer, or what came instead of one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HUNG_SECONDS)
    try:
        connection.putrequest("POST", path)
        for name, value in (headers | {"content-length": str(len(body))}).items():
            connection.putheader(name, value.encode("utf-8"))
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            json.loads(content)  # every refusal says why
        return str(answer.status)
    except TimeoutError:
        return "hung"
    except ValueError:
        return f"not JSON: {answer.status}"
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {type(error).__name__}"
    finally:
        connection.close()
