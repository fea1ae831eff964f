"""The response store's tables, and how an older layout becomes the present one."""

from __future__ import annotations

import json
import sqlite3

from stages.engines.request import Request

SCHEMA = 2

# Small columns first: a look-up then never reads the pages that a long text runs over. Texts are
# JSON strings, as SQLite refuses the lone surrogates that a model can emit.
TABLES = (
    """
CREATE TABLE completions (
    key TEXT NOT NULL,
    max_tokens INTEGER NOT NULL,
    top_logprobs INTEGER NOT NULL,
    finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    seconds REAL NOT NULL,
    usd REAL NOT NULL,
    created TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    model TEXT NOT NULL,
    about TEXT NOT NULL,
    row TEXT NOT NULL,
    prompt TEXT NOT NULL,
    system TEXT NOT NULL,
    error TEXT NOT NULL,
    text TEXT NOT NULL,
    reasoning TEXT NOT NULL,
    logprobs TEXT NOT NULL,
    request TEXT NOT NULL,
    PRIMARY KEY (key, max_tokens, top_logprobs)
)
""",
    # all that a plan reads of an answer, so that it reads no pages of texts
    "CREATE INDEX held ON completions "
    "(key, max_tokens, top_logprobs, finish_reason, completion_tokens, error)",
    "CREATE INDEX by_prompt ON completions (prompt)",
    "CREATE INDEX by_row ON completions (about, row)",
    # money that no answer came of: lost attempts, answers bought twice, what a killed run left
    """
CREATE TABLE lost (
    id TEXT PRIMARY KEY,
    created TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    model TEXT NOT NULL,
    usd REAL NOT NULL,
    reason TEXT NOT NULL
)
""",
    # one row a batch at a provider, remembered before it is submitted; prices in USD per million
    # tokens; `since` is when its state began: intended, sending, open or ended
    """
CREATE TABLE batches (
    id TEXT PRIMARY KEY,
    endpoint TEXT NOT NULL,
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    since TEXT NOT NULL,
    file TEXT NOT NULL,
    batch TEXT NOT NULL,
    prompt_price REAL NOT NULL,
    completion_price REAL NOT NULL
)
""",
    # what batches that have not ended hold; its key keeps a request out of a second one
    """
CREATE TABLE batch_requests (
    key TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    max_tokens INTEGER NOT NULL,
    top_logprobs INTEGER NOT NULL,
    about TEXT NOT NULL,
    row TEXT NOT NULL,
    request TEXT NOT NULL
)
""",
    "CREATE INDEX by_batch ON batch_requests (id)",
)
COLUMNS = 20
PUT = f"INSERT OR IGNORE INTO completions VALUES ({', '.join('?' * COLUMNS)})"
GET = """
SELECT key, max_tokens, top_logprobs, finish_reason, completion_tokens, error, prompt_tokens,
    seconds, text, reasoning, logprobs
FROM completions WHERE key IN ({}) ORDER BY max_tokens, top_logprobs
"""
BARE = """
SELECT key, max_tokens, top_logprobs, finish_reason, completion_tokens, error
FROM completions WHERE key IN ({})
"""


def rebuild(identity: str, max_tokens: int, top_logprobs: int, about: str, row: str) -> Request:
    """The request that was stored, from its canonical identity and its notes."""
    fields = json.loads(identity)
    extra = fields.pop("extra", None)
    messages = tuple((role, content) for role, content in fields.pop("messages"))
    return Request(
        **fields,
        messages=messages,
        extra=json.dumps(extra, sort_keys=True, separators=(",", ":")) if extra else "",
        max_tokens=max_tokens,
        top_logprobs=top_logprobs,
        about=about,
        row=row,
    )


def create(db: sqlite3.Connection) -> None:
    """Make the tables, inside the caller's transaction."""
    for statement in TABLES:
        db.execute(statement)


def migrate(db: sqlite3.Connection) -> None:
    """From layout 1, without log-probabilities and money; inside the caller's transaction."""
    db.execute("ALTER TABLE completions RENAME TO before")
    create(db)
    rows = db.execute(
        "SELECT key, max_tokens, endpoint, model, request, text, finish_reason, prompt_tokens, "
        "completion_tokens, error, created FROM before"
    )
    for key, limit, endpoint, model, identity, text, finish, prompt, spent, error, made in rows:
        try:
            request = rebuild(identity, limit, 0, "", "")
        except (KeyError, TypeError, ValueError):
            raise sqlite3.DatabaseError(f"the answer {key} is damaged") from None
        values = (
            key, limit, 0, finish, prompt, spent, 0.0, 0.0, made, endpoint, model, "", "",
            request.prompt, request.system, error, text, '""', '""', identity,
        )  # fmt: skip
        db.execute(PUT, values)
    db.execute("DROP TABLE before")
