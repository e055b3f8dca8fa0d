"""Writes the generated pages of docs/en/reference/, and the modules in docs/architecture.md. `make reference`.

    python docs/make_reference.py [--check]

It reads the source without running it, so that it needs none of the extras. ``--check`` writes nothing and says with
its exit code whether the pages are what the source says.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "src"
sys.path[:0] = [str(HERE), str(SOURCE)]

from generated import write_or_check  # noqa: E402

from acceptor import _HOMES as HOMES  # noqa: E402
from acceptor.error_codes import CODES  # noqa: E402

GROUPS = {
    "Training": ("config", "training", "experiments"),
    "Data": ("data",),
    "Judging": ("judging", "serve"),
    "Evaluation": ("evaluation",),
    "Reports and exports": ("report", "exporting"),
    "Errors": ("errors",),
}
"""Headings, and the rooms of the package whose public names stand under them."""

INTRO = """\
# The Python API

<!-- Made by `make reference` from the source. Change the docstrings, not this page. -->

`import acceptor` is light: a name is loaded when it is first used, and importing the package imports no torch.
Functions take their subject by position and everything after it by keyword; a list goes in, a list of the same order
comes out. The objects below have a one-line `repr`, and `to_dict()` gives plain values for JSON (`TrainConfig` has
pydantic's `model_dump()`). Examples and formats are in [training](training.md), [data](data.md), [judging](judging.md)
and [scores](scores.md); scikit-learn's `AcceptorClassifier` and others are in [integrations](integrations.md).

N is the number of sentences. A label's position in `labels` is its label id. Progress is a bar on stderr, where stderr
is a terminal. Derived settings are logged by the logger `acceptor`, level INFO (what only concerns
speed: DEBUG).
"""

ERRORS_INTRO = """\
# Error codes

<!-- Made by `make reference` from `acceptor.error_codes.CODES`. Change the table there, not this page. -->

Every error has a code: the last line of its text, `code` in what `--json` prints, and the attribute `code` of the
exception. A code keeps its meaning in later versions; the words of an error may change. A code's second part is the
class of the exception. The command line exits with 2 for a `UsageError`, with 1 for all others.

```python
import acceptor

try:
    data = acceptor.load_data("train.tsv")
except acceptor.AcceptorError as error:
    print(error.code, error.problem, error.details.get("where"))
```

| code | class | meaning |
|---|---|---|
"""


def source_of(name: str) -> str:
    """The source of a module of the package."""
    path = SOURCE.joinpath("acceptor", *name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path.read_text("utf-8")


@cache
def module_at(name: str) -> ast.Module:
    """The syntax tree of a module of the package."""
    return ast.parse(source_of(name))


def definition(module: str, name: str) -> ast.stmt:
    """Where a module defines a name."""
    for node in module_at(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if any(isinstance(one, ast.Name) and one.id == name for one in targets):
            return node
    raise LookupError(f"{module} does not define {name}")


def bases(module: str, cls: ast.ClassDef) -> Iterator[tuple[str, ast.ClassDef]]:
    """A class and those of ours that it inherits from, with their modules, nearest first."""
    yield module, cls
    imported = {
        alias.asname or alias.name: node.module.removeprefix("acceptor.")
        for node in ast.walk(module_at(module))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("acceptor.")
        for alias in node.names
    }
    for base in cls.bases:
        name = ast.unparse(base)
        home = imported.get(name, module)
        try:
            found = definition(home, name)
        except LookupError:
            continue
        if isinstance(found, ast.ClassDef):
            yield from bases(home, found)


def markdown(text: str) -> str:
    """Prose of a docstring as Markdown: one kind of literal."""
    return re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)


def sections(docstring: str) -> dict[str, str]:
    """The parts of a Google docstring by heading; what comes before the first one is called ``""``."""
    parts = re.split(r"^(Args|Attributes|Raises|Returns|Yields|Example|Examples):\n", docstring, flags=re.MULTILINE)
    return {
        "": parts[0].strip(),
        **{name: textwrap.dedent(body) for name, body in zip(parts[1::2], parts[2::2], strict=True)},
    }


def items(body: str) -> list[tuple[str, str]]:
    """Names and their texts, of a section that lists such."""
    found = re.findall(r"^(\*{0,2}[\w`.]+(?:, [\w`.]+)*): ?(.*?)(?=^\S|\Z)", body, flags=re.MULTILINE | re.DOTALL)
    return [(name, " ".join(text.split())) for name, text in found]


def documented(docstring: str | None, types: dict[str, str]) -> Iterator[str]:
    """A docstring in Markdown; names in its lists get their types."""
    parts = sections(docstring or "")
    yield markdown(parts.pop("")) + "\n"
    for heading, body in parts.items():
        listed = items(body) if heading in ("Args", "Attributes", "Raises") else []
        if not listed:
            text = textwrap.indent(body.strip(), "") if heading.startswith("Example") else markdown(body.strip())
            yield f"```python\n{text}\n```\n" if heading.startswith("Example") else f"**{heading}.** {text}\n"
            continue
        yield f"**{'Arguments' if heading == 'Args' else heading}**\n"
        lines = []
        for name, text in listed:
            kind = f" (`{types[name.strip('*')]}`)" if name.strip("*") in types else ""
            lines.append(f"- `{name}`{kind}: {markdown(text)}")
        yield "\n".join(lines) + "\n"


def types_of(node: ast.FunctionDef) -> dict[str, str]:
    """The types of a function's arguments, with what stands in their place where they are not given."""
    arguments = node.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(plain, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    pairs += [(one, None) for one in (arguments.vararg, arguments.kwarg) if one]
    return {
        one.arg: ast.unparse(one.annotation) + (f" = {ast.unparse(default)}" if default else "")
        for one, default in pairs
        if one.annotation
    }


def signature(node: ast.FunctionDef, name: str | None = None, *, method: bool = False) -> str:
    """A function's signature; one argument a line where it is long."""
    parts = _arguments(node.args, method=method)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    short = f"{name or node.name}({', '.join(parts)}){returns}"
    if len(short) <= 100:
        return short
    return f"{name or node.name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){returns}"


def _arguments(arguments: ast.arguments, *, method: bool) -> list[str]:
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    parts = [_argument(one, default) for one, default in zip(plain, defaults, strict=True)][int(method) :]
    if arguments.vararg or arguments.kwonlyargs:
        parts.append(f"*{ast.unparse(arguments.vararg)}" if arguments.vararg else "*")
    parts += [_argument(one, default) for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return [*parts, f"**{ast.unparse(arguments.kwarg)}"] if arguments.kwarg else parts


def _argument(one: ast.arg, default: ast.expr | None) -> str:
    equals = " = " if one.annotation else "="
    return ast.unparse(one) + (f"{equals}{ast.unparse(default)}" if default else "")


def fields(cls: ast.ClassDef) -> Iterator[tuple[ast.AnnAssign, str | None]]:
    """Public fields of a class, each with the docstring below it where there is one."""
    for node, after in zip(cls.body, [*cls.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id[0] != "_":
            below = after.value if isinstance(after, ast.Expr) else None
            said = below.value if isinstance(below, ast.Constant) and isinstance(below.value, str) else None
            yield node, said


def field_head(node: ast.AnnAssign) -> str:
    """A field with its type and default; the limits that pydantic holds stand behind it."""
    head, value, limits = f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}", node.value, ""
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "Field":
        given = {one.arg: one.value for one in value.keywords}
        value = given.pop("default", None)
        signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥"}
        limits = ", ".join(f"{signs[str(name)]} {ast.unparse(limit)}" for name, limit in given.items())
    head += f" = {ast.unparse(value)}" if value else ""
    return f"`{head}`" + (f" ({limits})" if limits else "")


def function_entry(node: ast.FunctionDef) -> Iterator[str]:
    """The entry of a function."""
    yield f"```py\n{signature(node)}\n```\n"
    yield from documented(ast.get_docstring(node), types_of(node))


def class_entry(module: str, cls: ast.ClassDef) -> Iterator[str]:
    """The entry of a class: what it is, its fields, its methods and properties, inherited ones too."""
    own = [one for _, one in bases(module, cls)]
    types = {ast.unparse(node.target): ast.unparse(node.annotation) for one in own for node, _ in fields(one)}
    start = next((node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"), None)
    if cls.bases and not any(isinstance(node, ast.FunctionDef) for node in cls.body) and cls.name.endswith("Error"):
        yield f"A kind of `{ast.unparse(cls.bases[0])}`.\n"
    if start:
        yield f"```py\n{signature(start, cls.name, method=True).removesuffix(' -> None')}\n```\n"
        types |= types_of(start)
    yield from documented(ast.get_docstring(cls), types)
    described = [(node, text) for node, text in fields(cls) if text]
    if described:
        yield "**Fields**\n"
        lines = [f"- {field_head(node)}: {markdown(' '.join(str(text).split()))}" for node, text in described]
        yield "\n".join(lines) + "\n"
    seen: set[str] = set()
    members = []
    for one in own:
        for node in one.body:
            if not isinstance(node, ast.FunctionDef) or node.name in seen or not ast.get_docstring(node):
                continue
            seen.add(node.name)
            if node.name[0] != "_" or node.name == "__call__":
                members.append(member_entry(node))
    if members:
        yield "**Methods and properties**\n"
        yield "\n".join(members) + "\n"


def member_entry(node: ast.FunctionDef) -> str:
    """A line for a method or property, with what it raises below."""
    parts = sections(ast.get_docstring(node) or "")
    decorators = {ast.unparse(one) for one in node.decorator_list}
    if decorators & {"property", "cached_property", "functools.cached_property"}:
        head = f"`{node.name}`" + (f" (`{ast.unparse(node.returns)}`)" if node.returns else "")
    else:
        called = _arguments(node.args, method="staticmethod" not in decorators)
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        head = f"`{node.name}({', '.join(called)}){returns}`"
    text = markdown(re.sub(r"\n\n+", " ", parts.pop("")).replace("\n", " "))
    lines = [f"- {head}: {text}"]
    for heading in ("Args", "Raises"):
        for name, about in items(parts.get(heading, "")):
            lines.append(f"  - `{name}`: {markdown(about)}")
    return "\n".join(lines)


def entry(name: str) -> Iterator[str]:
    """The section of one public name."""
    module, node = HOMES[name], definition(HOMES[name], name)
    yield f"## `{name}`\n"
    yield f"*In `acceptor.{module}`.*\n"
    if isinstance(node, ast.FunctionDef):
        yield from function_entry(node)
    elif isinstance(node, ast.ClassDef):
        yield from class_entry(module, node)
    else:
        yield f"```py\n{ast.get_source_segment(source_of(module), node)}\n```\n"


def first_sentence(name: str) -> str:
    """What the index says of a name."""
    node = definition(HOMES[name], name)
    text = ast.get_docstring(node) if isinstance(node, ast.FunctionDef | ast.ClassDef) else "Named settings."
    return markdown(" ".join(str(text).split("\n\n")[0].split()))


def grouped() -> dict[str, list[str]]:
    """All public names by heading: functions first, then classes, each in alphabetical order."""
    of_room = {room: heading for heading, rooms in GROUPS.items() for room in rooms}
    found: dict[str, list[str]] = {heading: [] for heading in GROUPS}
    for name in sorted(HOMES, key=lambda name: (name[0].isupper(), name)):
        found[of_room[HOMES[name].split(".")[0]]].append(name)
    return found


def _anchors() -> dict[str, str]:
    """What GitHub calls each name's heading: `export` and `Export` are told apart by a number."""
    found: dict[str, str] = {}
    for names in grouped().values():
        for name in names:
            before = sum(other.lower() == name.lower() for other in found)
            found[name] = name.lower() + (f"-{before}" if before else "")
    return found


def api() -> str:
    """The page of all public names."""
    parts, anchors = [INTRO], _anchors()
    for heading, names in grouped().items():
        lines = [f"**{heading}**\n", "| name | what |", "|---|---|"]
        lines += [f"| [`{name}`](#{anchors[name]}) | {first_sentence(name)} |" for name in names]
        parts.append("\n".join(lines) + "\n")
    for names in grouped().values():
        for name in names:
            parts += entry(name)
    return "\n".join(parts)


def errors() -> str:
    """The page of all codes."""
    classes = {name.removesuffix("Error").upper(): name for name in HOMES if name.endswith("Error")}
    rows = [f"| `{code}` | `{classes[code.split('-')[1]]}` | {meaning} |\n" for code, meaning in CODES.items()]
    return ERRORS_INTRO + "".join(rows)


def modules() -> str:
    """The page of the house, with every module of the package and the first line of its docstring."""
    rows, root = [], SOURCE / "acceptor"
    for path in sorted(root.rglob("*.py"), key=lambda path: (path.parent != root, path.parent, path.name)):
        first = str(ast.get_docstring(ast.parse(path.read_text("utf-8")))).split("\n")[0]
        name = path.relative_to(root.parent).as_posix().removesuffix("__init__.py")
        rows.append(f"- **`{name}`** {first}\n" if name.endswith("/") else f"  - `{path.name}` {first}\n")
    page = (HERE / "architecture.md").read_text("utf-8")
    before, rest = page.split("<!-- modules -->\n")
    return f"{before}<!-- modules -->\n{markdown(''.join(rows))}<!-- /modules -->{rest.split('<!-- /modules -->')[1]}"


def main() -> int:
    """Writes or checks the pages."""
    reference = HERE / "en" / "reference"
    pages = {reference / "api.md": api(), reference / "errors.md": errors(), HERE / "architecture.md": modules()}
    return write_or_check(pages)


if __name__ == "__main__":
    sys.exit(main())
