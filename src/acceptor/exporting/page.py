"""`export_page`: writes a judge as one HTML file that judges in the browser, without a server."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from acceptor import page
from acceptor.data.table import Split
from acceptor.data.writing.write import check_free
from acceptor.errors import UsageError
from acceptor.exporting.export import check_place, export
from acceptor.exporting.verify import Export
from acceptor.exporting.wordpiece import wordpiece
from acceptor.judging.description import described
from acceptor.judging.judge import Judge
from acceptor.storage.files import explain_write_errors, replace_text, user_path
from acceptor.storage.lock import one_writer
from acceptor.storage.manifest import file_sha256
from acceptor.text import content_source

VERSION = "1.30.0"  # of onnxruntime-web
DIST = Path("onnxruntime-web", "dist")
FILES = {  # of that version, with their sha256
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
INSTALL = f"npm install --prefix . --no-save --ignore-scripts onnxruntime-web@{VERSION}"


def export_page(
    judge: Judge,
    out: str | Path,
    *,
    name: str,
    precision: str = "int8",
    verify: Split | None = None,
    runtime: str | Path = "node_modules",
    overwrite: bool = False,
) -> Export:
    """Writes the judge as one HTML file, which judges in the browser.

    The network, ONNX Runtime Web and the tokenizer are in it. Its Content-Security-Policy allows no request.

    Args:
        judge: A judge from a run folder, loaded on the CPU.
        out: The page to write; its name ends in ``.html``.
        name: What the page calls the judge.
        precision: As for `export`, whose checks the network must pass.
        verify: As for `export`.
        runtime: The folder ``node_modules`` in which npm has installed ONNX Runtime Web.
        overwrite: Replace an existing file at ``out``.

    Raises:
        UsageError: ``out`` exists or is a folder; the runtime is missing or of another version; the judge's tokenizer
            is not BERT's; or as `export`.
        RunError: As `export`.
        ResourceError: As `export`.
    """
    out = user_path(out)
    check_place(out, overwrite=overwrite)
    library, wasm = _runtime_files(user_path(runtime))
    tokenizer = json.dumps(wordpiece(judge), ensure_ascii=False, separators=(",", ":"))
    with tempfile.TemporaryDirectory(prefix="acceptor-") as folder:
        network = Path(folder) / "judge.onnx"
        found = export(judge, network, precision=precision, verify=verify)
        plain = _without_metadata(network.read_bytes())
    blocks = {"tokenizer": tokenizer.encode(), "runtime": library, "wasm": wasm, "network": plain}
    text = page_with(described(judge, name, found.precision), blocks)
    with one_writer(out), explain_write_errors(out):
        check_free(out, overwrite=overwrite)  # again: meanwhile another process may have written it
        replace_text(out, text)
    return replace(found, path=out, bytes=out.stat().st_size, sha256=file_sha256(out))


def _runtime_files(folder: Path) -> list[bytes]:
    """The files of ONNX Runtime Web."""
    found = []
    for name, sha256 in FILES.items():
        path = folder / DIST / name
        data = path.read_bytes() if path.is_file() else None
        if data is None or hashlib.sha256(data).hexdigest() != sha256:
            raise UsageError(
                "the page needs ONNX Runtime Web, which computes in the browser",
                where=str(path),
                expected=f"the file of onnxruntime-web {VERSION}",
                found="no such file" if data is None else "a file with another sha256",
                cause="it is an npm package of its own" if data is None else "another version, or a damaged file",
                next=f"{INSTALL}\nthen again in the same folder; or name its folder: --runtime PATH/node_modules",
                code="E-USAGE-EXTRA",
            )
        found.append(data)
    return found


def _without_metadata(network: bytes) -> bytes:
    """The network alone: the page has the rest in its own form, and a colleague needs no fingerprints of train."""
    import onnx

    proto = onnx.load_model_from_string(network)
    del proto.metadata_props[:]
    return bytes(proto.SerializeToString())


def page_with(about: dict[str, object], blocks: dict[str, bytes]) -> str:
    """The page with the judge inside.

    Args:
        about: See `described`.
        blocks: What `local.js` unpacks, by name.
    """
    style = page.read("page.css")
    script = "\n".join(_in_one_scope(page.read(name)) for name in page.INSIDE)
    policy = (
        f"default-src 'none'; script-src {content_source(script)} blob: 'wasm-unsafe-eval'; "
        f"style-src {content_source(style)}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    data = [f'<script type="application/json" id="judge">{_in_html(about)}</script>']
    for name, content in blocks.items():
        packed = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
        data.append(f'<script type="application/gzip" id="{name}">{packed}</script>')
    text = page.read("index.html")
    for old, new in (
        (
            '<meta charset="utf-8">',
            f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">',
        ),
        ('<link rel="stylesheet" href="page/page.css">', f"<style>{style}</style>"),
        ('<script type="module" src="page/main-server.js"></script>', ""),
        ("</body>", "\n".join([*data, f'<script type="module">{script}</script>', "</body>"])),
    ):
        before, found, after = text.partition(old)
        assert found, old  # noqa: S101 - our own file
        text = before + new + after
    return text


def _in_one_scope(script: str) -> str:
    """A module without its imports and exports, for a script that holds all modules."""
    return re.sub(r"^export ", "", re.sub(r"^import .*;\n", "", script, flags=re.M), flags=re.M)


def _in_html(content: dict[str, object]) -> str:
    """JSON that no HTML parser takes for the end of its script."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
