"""Jinja for strangers' templates: what a prompt needs, and bounds on all of it.

On top of Jinja's immutable sandbox (Jinja documentation, "Sandbox") the language is cut to what
can neither reach a clock, randomness, files and attributes of Python objects, nor grow without
bound: no macros, blocks or other templates, no `range`, a list of filters, tests and methods, and
limits on the steps of loops and the size of every text that is made. The limits are counts, not
seconds, so a template that passes on one machine passes on all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from itertools import islice
from types import BuiltinMethodType
from typing import Any

from jinja2 import BaseLoader, StrictUndefined, TemplateError, nodes
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MAX_OUTPUT = 1_000_000
"""Characters that one rendering may have beyond its values, and any text made on the way."""
MAX_STEPS = 100_000
"""Loop steps of one rendering."""
MAX_WORK = 5_000_000
"""Characters and items that the filters and methods of one rendering may go through."""
MAX_BITS = 256
"""Bits of a whole number that multiplication may make."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


FILTERS = _set(
    "abs capitalize count d default dictsort first float int items join last length list lower map "
    "max min reject rejectattr replace reverse round select selectattr sort string sum title "
    "tojson trim truncate unique upper wordcount"
)
TESTS = _set(
    "!= < <= == > >= boolean defined divisibleby eq equalto even false float ge greaterthan gt in "
    "integer iterable le lessthan lower lt mapping ne none number odd sequence string true "
    "undefined upper"
)
METHODS: Mapping[type, frozenset[str]] = {
    str: _set(
        "capitalize casefold count endswith find index isalnum isalpha isdigit islower isnumeric "
        "isspace istitle isupper join lower lstrip partition removeprefix removesuffix replace "
        "rfind rindex rpartition rsplit rstrip split splitlines startswith strip swapcase title "
        "upper"
    ),
    dict: _set("get items keys values"),
    list: _set("count index"),
    tuple: _set("count index"),
}
REFUSED: Mapping[type[nodes.Node], str] = {
    nodes.Include: "read another one",
    nodes.Import: "read another one",
    nodes.FromImport: "read another one",
    nodes.Extends: "read another one",
    nodes.Macro: "define a macro",
    nodes.CallBlock: "define a macro",
    nodes.Block: "hold a block",
    nodes.Pow: "raise to a power",
}
"""Constructs that no prompt needs, and what they do."""


class LimitError(TemplateError):
    """A bound of the sandbox was met."""


class Sandbox(ImmutableSandboxedEnvironment):
    """The one Jinja environment of Tutelage's specs and prompts."""

    # What is intercepted is not computed beforehand by Jinja's optimizer either.
    intercepted_binops = frozenset({"*", "+", "%", "**"})

    def __init__(self, loader: BaseLoader | None = None, **options: Any) -> None:
        super().__init__(
            loader=loader, undefined=StrictUndefined, autoescape=False, cache_size=-1, **options
        )
        self.globals = {"namespace": self.globals["namespace"], "dict": dict}
        kept = {name: self.filters[name] for name in sorted(FILTERS)}
        kept |= {"replace": _replace, "join": _join}
        self.filters = {name: self._counted(work) for name, work in kept.items()}
        self.filters["_steps"] = self._steps
        self.tests = {name: self.tests[name] for name in sorted(TESTS)}
        self.concat = self._concat  # type: ignore[method-assign]
        self.begin()

    def begin(self, given: int = 0) -> None:
        """Start counting a rendering's loop steps and work anew.

        Args:
            given: Characters of the texts that it is given: a completion may have any length.
        """
        self._left, self._work, self._given = MAX_STEPS, MAX_WORK, given

    def _concat(self, parts: Iterable[str]) -> str:
        made = list(parts)
        size = sum(map(len, made))
        if size > self._given + MAX_OUTPUT:
            _fits(size)
        return "".join(made)

    def _counted(self, work: Callable[..., Any]) -> Callable[..., Any]:
        place = int(hasattr(work, "jinja_pass_arg"))  # behind the context that Jinja passes first

        @wraps(work)
        def counted(*arguments: Any, **named: Any) -> Any:
            if len(arguments) > place:
                self._charge(arguments[place])
            return work(*arguments, **named)

        return counted

    def _charge(self, value: Any) -> None:
        if hasattr(value, "__len__") and not isinstance(value, Undefined):
            self._work -= len(value)
            if self._work < 0:
                raise LimitError(f"it goes through more than {MAX_WORK} characters and items")

    def _steps(self, values: Any) -> Any:
        if isinstance(values, Undefined):
            return values  # the loop itself says what is undefined
        if not hasattr(values, "__len__"):
            values = list(islice(values, self._left + 1))
        self._left -= len(values)
        if self._left < 0:
            raise LimitError(f"its loops take more than {MAX_STEPS} steps")
        return values

    def _generate(
        self,
        source: nodes.Template,
        name: str | None,
        filename: str | None,
        defer_init: bool = False,
    ) -> str:
        return super()._generate(_Bounded().visit(source), name, filename, defer_init)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Only the methods in `METHODS`; fields of rows are items, not attributes."""
        if isinstance(value, BuiltinMethodType):
            return attr in METHODS.get(type(obj), ())
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """``str.format`` is not among the methods: its widths make text without bound."""
        return

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """A method that joins or replaces is held to the size of its result."""
        if isinstance(obj, BuiltinMethodType):
            self._charge(obj.__self__)
        if isinstance(obj, BuiltinMethodType) and isinstance(obj.__self__, str):
            if obj.__name__ == "replace":
                return _replace(obj.__self__, *args, **kwargs)
            if obj.__name__ == "join":
                return _join(args[0] if args else (), obj.__self__)
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """``+`` and ``*`` as long as the result stays small; ``%`` on numbers alone."""
        both = (left, right)
        if operator == "**":
            raise TemplateError("powers are not allowed here")
        if operator == "+":
            if all(isinstance(side, (str, list, tuple)) for side in both):
                _fits(len(left) + len(right))
        elif not all(isinstance(side, (int, float)) for side in both):
            raise TemplateError(f"the operator {operator} takes numbers here")
        elif (
            operator == "*"
            and all(isinstance(side, int) for side in both)
            and left.bit_length() + right.bit_length() > MAX_BITS
        ):
            raise LimitError(f"a product has more than {MAX_BITS} bits")
        return super().call_binop(context, operator, left, right)


class _Bounded(NodeTransformer):
    """Routes loops and ``~`` through the functions that count."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_steps", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "join", [], [], None, None, lineno=node.lineno)


def _fits(size: int) -> None:
    if size > MAX_OUTPUT:
        raise LimitError(f"it makes a text of {size} characters, more than {MAX_OUTPUT}")


def _join(value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    items: Iterator[Any] = iter(value)
    if attribute is not None:
        items = (item[attribute] for item in items)
    parts = [str(item) for item in items]
    _fits(sum(map(len, parts)) + len(d) * max(len(parts) - 1, 0))
    return d.join(parts)


def _replace(s: Any, old: str, new: str, count: int | None = None) -> str:
    text, old, new = str(s), str(old), str(new)
    found = text.count(old)
    times = found if count is None or count < 0 else min(found, count)
    _fits(len(text) + times * (len(new) - len(old)))
    return text.replace(old, new, -1 if count is None else count)


def refused(tree: nodes.Template) -> Iterator[tuple[nodes.Node, str]]:
    """What the language leaves out, with what it does."""
    for node in tree.find_all(nodes.Node):
        for kind, does in REFUSED.items():
            if isinstance(node, kind):
                yield node, does
        if isinstance(node, nodes.For) and node.recursive:
            yield node, "loop recursively"
