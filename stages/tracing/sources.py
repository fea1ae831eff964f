"""The links of a chain that people wrote: the task's spec, templates, and the decision on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stages.core.jsonl import digest
from stages.spec.document import Document
from stages.spec.include import load_included
from stages.spec.load import load
from stages.tracing.held import Held, Row

PARTS = (("data", "source"), ("row", "question"), ("row", "gold"), ("answer", "extract"))
"""Keys of a task spec whose places are named."""


def spec_step(held: Held, suite: str, task: str, split: str = "") -> Row:
    """Where the rows and their verifier are written down.

    Args:
        split: Named as well, where a row is traced.
    """
    file = f"specs/tasks/{suite}/{task}.yaml"
    document = load_included(held.top / file, held.top)
    data = document.data if isinstance(document.data, dict) else {}
    compiled = held.maybe("manifest.json").get("tasks", {}).get(f"{suite}/{task}", {})
    parts = [*PARTS, *([("data", "splits", split)] if split else [])]
    now = _sha(held.top / file)
    return {
        "link": "spec",
        "file": _place(document, ("id",)),
        "parts": {".".join(part): _place(document, part) for part in parts},
        "source": data.get("data", {}).get("source"),
        "sha256": now,
        "compiled_sha256": compiled.get("sha256"),
        "edited_since_compiled": compiled.get("sha256") not in (None, now),
        "includes": sorted(compiled.get("includes", {})),
        "commit": held.commit(file, *compiled.get("includes", {})),
    }


def template_step(held: Held, suite: str, task: str, strategies: Iterable[str]) -> Row:
    """What the prompts and training texts of the strategies were rendered from."""
    manifest = held.maybe("manifest.json")
    prompts = manifest.get("tasks", {}).get(f"{suite}/{task}", {}).get("prompts", {})
    made = []
    for name in strategies:
        known = manifest.get("strategies", {}).get(name)
        if known is None:  # answers alone have no strategy
            continue
        document = load(held.top / known["file"], held.top)
        templates = [_template(held.top, manifest, template) for template in known["templates"]]
        files = [template["file"] for template in templates]
        made.append({
            "strategy": name,
            "file": _place(document, ("id",)),
            "sha256": known["sha256"],
            "templates": templates,
            "prompts_sha256": prompts.get(name),
            "commit": held.commit(known["file"], *files),
        })  # fmt: skip
    return {"link": "templates", "strategies": made}


def decision_step(held: Held, suite: str, task: str) -> Row:
    """Which strategy was chosen for the task, and on what evidence."""
    step: Row = {"link": "decision"}
    for kind in ("selected", "ranked"):
        name = f"{kind}/{suite}.json"
        if choice := held.maybe(name).get(task):
            keys = "strategy", "reason", "at_floor", "evidence"
            step[kind] = {key: choice[key] for key in keys if key in choice}
            step[kind] |= held.output(f"build/{name}")
    return step


def _template(top: Path, manifest: Mapping[str, Any], name: str) -> Row:
    now, file = _sha(top / "templates" / name), f"templates/{name}"
    compiled = manifest.get("templates", {}).get(name)
    return {"file": file, "sha256": compiled, "edited_since_compiled": compiled not in (None, now)}


def _sha(path: Path) -> str | None:
    return digest(path.read_text(encoding="utf-8")) if path.is_file() else None


def _place(document: Document, part: tuple[str, ...]) -> str:
    text, line, _ = document.place(part, key=True)
    return f"{text.file}:{line}" if line else text.file
