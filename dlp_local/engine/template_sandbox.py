"""The sandbox in which chat templates run: what makes a string of others keeps their sources, and all is measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, NoReturn

from jinja2 import nodes, pass_environment
from jinja2.compiler import CodeGenerator, Frame, operators
from jinja2.environment import Environment
from jinja2.exceptions import SecurityError, TemplateNotFound
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import make_attrgetter
from jinja2.loaders import FunctionLoader
from jinja2.nodes import EvalContext
from jinja2.parser import Parser
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import MAX_RANGE, ImmutableSandboxedEnvironment

from dlp_local.engine.template_limits import TemplateLimitError, TemplateLimits
from dlp_local.engine.traced_text import TracedText, concat, traced, traced_within

OPERATORS = ("+", "*", "**", "%")
"""Those that can make more of two values than there was."""


WRITING_VALUES = frozenset({"tojson", "xmlattr", "urlencode"})
"""Filters that write the texts in a list or a dictionary."""


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """Jinja as model authors write templates for it; `limits` are those of the rendering that runs."""

    intercepted_binops = frozenset(OPERATORS)

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols])
        self.code_generator_class = _CodeGenerator
        self.loader = FunctionLoader(_no_other)
        self.limits = TemplateLimits()
        self.filters |= {"tojson": _to_json, "join": _join, "indent": _indent}
        self.filters = {name: self._limited(name, function) for name, function in self.filters.items()}
        self.globals["range"] = _range
        del self.globals["lipsum"]

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        """What a template gets that asks for something which it may not have: an error, once it is used."""
        return self.undefined(f"it asks for {attribute!a}, which no template gets", exc=SecurityError)

    def concat(self, parts: Iterable[str]) -> TracedText:
        """The texts one after the other, with their sources."""
        texts = []
        for part in parts:
            texts.append(self.text(part))
            self.limits.step()
        self.limits.check(sum(map(len, texts)))
        return self.limits.made(concat(texts))

    def text(self, value: Any) -> str:
        """A value as it is written."""
        self.limits.check_all((value,))
        return str(value)

    def counted(self, values: Iterable[Any]) -> Iterator[Any]:
        """The same values, of which each is a round of a loop."""
        for value in values:
            self.limits.step()
            yield value

    def compared(self, value: Any) -> Any:
        """The same value, which is to be compared."""
        self.limits.check_all((value,))
        return value

    def sliced(self, value: Any, part: slice) -> Any:
        """A part of a text or a list."""
        return self.limits.made(value[part])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """What an operator gives."""
        self.limits.step()
        self.limits.check_operation(operator, left, right)
        if operator == "%" and isinstance(right, tuple):
            result = traced(lambda left, *parts: left % parts, left, *right)
        elif operator == "%" and isinstance(right, dict) and isinstance(left, str):
            result = traced(lambda left, **parts: left % parts, left, **right)
        elif operator == "%":
            result = traced(self.binop_table[operator], left, right)
        else:
            result = self.binop_table[operator](left, right)
        return self.limits.made(result)

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """What a function, a macro or a method gives."""
        self.limits.step()
        owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)
        if not isinstance(owner, str | bytes | int):
            return self.limits.made(super().call(context, function, *args, **kwargs))
        for variables in ("_loop_vars", "_block_vars"):  # what Jinja tells functions of its own
            kwargs.pop(variables, None)
        method = function.__name__
        if method == "join" and args and isinstance(owner, str):
            return self.join(owner, args[0])
        self.limits.check_method(method, owner, args, kwargs)
        if not isinstance(owner, str):
            return self.limits.made(super().call(context, function, *args, **kwargs))
        if method not in ("format", "format_map"):
            return self.limits.made(super().call(context, getattr(TracedText(owner), method), *args, **kwargs))

        def format_text(text: str, *args: Any, **kwargs: Any) -> Any:
            return context.call(self.getattr(str.__str__(text), method), *args, **kwargs)

        return self.limits.made(traced(format_text, owner, *args, **kwargs))

    def join(self, separator: str, items: Iterable[str]) -> TracedText:
        """As `str.join`."""
        items = list(self.counted(items))
        self.limits.check(sum(len(item) for item in items if isinstance(item, str)) + len(separator) * len(items))
        return self.limits.made(TracedText(separator).join(items))

    def _limited(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter that is measured, and whose result keeps the sources of texts."""

        @wraps(function)
        def limited(*args: Any, **kwargs: Any) -> Any:
            self.limits.step()
            first = args[:1] if isinstance(args[0], Environment | Context | EvalContext) else ()
            value, *others = args[len(first) :]
            self.limits.check_method(name, value, tuple(others), kwargs)
            if name in WRITING_VALUES:
                result = traced_within(lambda value: function(*first, value, *others, **kwargs), value)
            else:
                result = traced(function, *args, **kwargs)
            return self.limits.made(result)

        return limited


class _CodeGenerator(CodeGenerator):
    """Hands what Jinja would compute in place to the sandbox's methods."""

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802 (jinja2's own names)
        node.iter = nodes.Call(nodes.EnvironmentAttribute("counted"), [node.iter], [], None, None)
        super().visit_For(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.concat((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802
        if not isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.sliced(")
        self.visit(node.node, frame)
        self.write(", slice(")
        for bound in (node.arg.start, node.arg.stop, node.arg.step):
            self.visit(nodes.Const(None) if bound is None else bound, frame)
            self.write(", ")
        self.write("))")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802
        self.write("(environment.compared(")
        self.visit(node.expr, frame)
        self.write(")")
        for operand in node.ops:
            self.write(f" {operators[operand.op]} environment.compared(")
            self.visit(operand.expr, frame)
            self.write(")")
        self.write(")")

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        self.write("environment.text(")


class _GenerationTag(Extension):
    """`{% generation %}` marks what the assistant says, for training; here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012 (jinja2's own attribute)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _no_other(name: str) -> NoReturn:
    raise TemplateNotFound(name, f"it takes in the file {str.__str__(name)!a}, and a chat template is one file alone")


def _range(*bounds: int) -> range:
    """As Python's, for so many numbers as a sandbox gives."""
    numbers = range(*bounds)
    if numbers[MAX_RANGE:]:
        raise TemplateLimitError(f"counts to more than {MAX_RANGE}")
    return numbers


def _to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


@pass_environment
def _join(
    environment: TemplateSandbox, value: Iterable[Any], d: str = "", attribute: str | int | None = None
) -> TracedText:
    items = value if attribute is None else map(make_attrgetter(environment, attribute), value)
    return environment.join(environment.text(d), map(environment.text, items))


def _indent(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> TracedText:
    """As Jinja's, of whose result not every part would keep its sources."""
    indention = width if isinstance(width, str) else " " * width
    lines = TracedText(s + "\n").splitlines()
    others = [indention + line if line or blank else line for line in lines[1:]]
    return TracedText("\n").join([indention + lines[0] if first else lines[0], *others])
