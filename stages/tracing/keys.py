"""Which row a request belongs to, by the beginning of its key."""

from __future__ import annotations

from collections.abc import Iterator

from stages.core.errors import user_error
from stages.engines.store import Store, default_path
from stages.spec.model import Params
from stages.tracing.held import Held, Row
from stages.tracing.made import keys_of

FEW = 5
"""Keys that are named where a prefix fits several."""


def request(held: Held, params: Params, prefix: str) -> Row:
    """The link of one request: the row, and each build file and line that its answer is in.

    Raises:
        UserError: E513 when no key begins so, or several do.
    """
    uses: dict[str, list[tuple[str, Row]]] = {}
    for name in _files(params):
        if (held.top / "build" / name).is_file():
            for place, row in held.rows(name, lambda row: "id" in row):
                for key in keys_of(row):
                    if key.startswith(prefix):
                        uses.setdefault(key, []).append((place, row))
    stored = _stored(prefix)
    found = list(dict.fromkeys([*uses, *stored]))
    if len(found) != 1:
        some = ", ".join(key[:16] for key in found[:FEW])
        message = f"{len(found)} requests have a key that begins with {prefix!r}"
        hint = f"give more of it: {some}" if found else "`make trace ROW=…` shows those of a row"
        raise user_error("command line", "E513", message, hint)
    (key,) = found
    step: Row = {"link": "request", "key": key, **stored.get(key, {})}
    if rows := uses.get(key):
        step["row"] = rows[0][1]["id"]
    step["used_in"] = [place for place, _ in uses.get(key, [])]
    return step


def _files(params: Params) -> Iterator[str]:
    for suite in params.suites:
        yield from (f"{name}/{suite}.jsonl" for name in ("rationales", "probe", "ranked"))
        yield f"probe/{suite}.lessons.jsonl"
    for run in params.runs:
        yield f"evaluations/{run.id}/predictions.jsonl"


def _stored(prefix: str) -> dict[str, Row]:
    """Of the response store: who answered what, and when."""
    if not default_path().is_file():
        return {}
    query = (
        "SELECT key, endpoint, model, about, row, created, max_tokens, finish_reason, "
        "prompt_tokens, completion_tokens, usd FROM completions WHERE key >= ? AND key < ? "
        f"ORDER BY key, max_tokens LIMIT {FEW + 1}"
    )
    with Store(default_path()) as store, store.explained():
        cursor = store.db.execute(query, (prefix, prefix + "g"))  # digits of keys are hexadecimal
        names = [column[0] for column in cursor.description]
        return {line[0]: dict(zip(names[1:], line[1:], strict=True)) for line in cursor}
