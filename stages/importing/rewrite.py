"""Foreign Jinja, whose variables are a row's fields, rewritten to read them from `row`."""

from __future__ import annotations

from jinja2 import Environment, TemplateSyntaxError, meta

from stages.importing.draft import NotCarriedError

_environment = Environment()


def to_row(source: str) -> str:
    """``{{ question }}`` becomes ``{{ row.question }}``.

    Raises:
        NotCarriedError: When the text is no Jinja template.
    """
    try:
        free = meta.find_undeclared_variables(_environment.parse(source))
        tokens = list(_environment.lex(source))
    except TemplateSyntaxError as error:
        raise NotCarriedError(f"its template has a mistake: {error}") from None
    made: list[str] = []
    depth, before = 0, ""
    for place, (_, kind, text) in enumerate(tokens):
        if kind == "operator":
            depth += (text in "([{") - (text in ")]}")
        if kind == "name" and text in free and before not in (".", "|", "is"):
            keyword = depth > 0 and _next(tokens, place) == "="
            made.append(text if keyword else f"row.{text}")
        else:
            made.append(text)
        if kind not in ("whitespace", "data"):
            before = text
    return "".join(made)


def _next(tokens: list[tuple[int, str, str]], place: int) -> str:
    return next((text for _, kind, text in tokens[place + 1 :] if kind != "whitespace"), "")


def only_expression(source: str) -> str | None:
    """The expression of a text that is one ``{{ … }}`` and nothing else, rewritten."""
    bare = source.strip()
    if bare.startswith("{{") and bare.endswith("}}") and bare.count("{{") == 1:
        return to_row(bare)[2:-2].strip("- ")
    return None
