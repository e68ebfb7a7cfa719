"""A chat template: messages → text, in the sandbox and with the helpers that model authors write templates for."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, NoReturn

from jinja2 import nodes, pass_environment
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import Environment
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import make_attrgetter
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dlp_local.core.errors import PackError
from dlp_local.engine.traced_text import TracedText, concat, traced

PLAIN_TEMPLATE = (
    "{% for m in messages %}{{ {'system': '', 'user': 'User: ', 'assistant': 'Assistant: '}[m.role] }}"
    "{{ m.content | trim }}\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""For a backbone that brings no template."""

_SPLITTING = frozenset({"split", "rsplit", "partition", "rpartition"})
_READING = _SPLITTING | {"replace", "removeprefix", "removesuffix", "startswith", "endswith", "find", "rfind", "index"}
"""Methods of strings, and a filter, whose first argument is a text that they look for."""

Rendering = Sequence[Mapping[str, Any]]


class ChatTemplate:
    """A Jinja chat template, rendered as transformers' `apply_chat_template` does.

    `bos` and `eos`: the texts of the model's begin and end tokens. Raises `PackError` for a source that is no Jinja.
    """

    def __init__(self, source: str, bos: str = "", eos: str = "") -> None:
        environment = _Environment(trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols])
        environment.globals.update(raise_exception=_raise, strftime_now=lambda form: datetime.now().strftime(form))
        self.source = source
        self._given = {"bos_token": bos, "eos_token": eos, "tools": None, "documents": None}
        try:
            self._template = environment.from_string(source)
            program = environment.parse(source)
        except TemplateError as error:
            raise PackError(f"the chat template cannot be read ({error}). Use another one.") from None
        self.looked_for = frozenset(text for text in _looked_for(program, _READING) if text.strip())
        """Texts that the template looks for in contents, and may take out of them with what is around."""

        self.split_at = frozenset(_looked_for(program, _SPLITTING))
        """Those at which it splits contents."""

    def render(self, messages: Rendering, add_generation_prompt: bool) -> TracedText:
        """The text of a conversation, whose contents keep their sources where they are `TracedText`.

        A template is a program of its author's and may raise anything.
        """
        return TracedText(
            self._template.render(
                messages=[dict(message) for message in messages],
                add_generation_prompt=add_generation_prompt,
                **self._given,
            )
        )


class _GenerationTag(Extension):
    """`{% generation %}` marks what the assistant says, for training; here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012 (jinja2's own attribute)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _CodeGenerator(CodeGenerator):
    """Makes `a ~ b` keep the sources of strings, too."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 (jinja2's own name)
        self.write("environment.concat(map(str, (")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write(")))")


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, in which everything that makes a string of others keeps their sources."""

    code_generator_class = _CodeGenerator
    concat = staticmethod(concat)
    intercepted_binops = frozenset("%")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.filters |= {"tojson": _to_json, "join": _join}
        self.filters = {name: _tracing(function) for name, function in self.filters.items()}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if isinstance(right, tuple):
            return traced(lambda left, *parts: left % parts, left, *right)
        if isinstance(right, dict) and isinstance(left, str):
            return traced(lambda left, **parts: left % parts, left, **right)
        return traced(self.binop_table[operator], left, right)

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)
        if not isinstance(owner, str):
            return super().call(context, function, *args, **kwargs)
        method = function.__name__
        if method not in ("format", "format_map"):
            return super().call(context, getattr(TracedText(owner), method), *args, **kwargs)

        def format_text(text: str, *args: Any, **kwargs: Any) -> Any:
            return context.call(self.getattr(str.__str__(text), method), *args, **kwargs)

        return traced(format_text, owner, *args, **kwargs)


def _tracing(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def tracing(*args: Any, **kwargs: Any) -> Any:
        return traced(function, *args, **kwargs)

    return tracing


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> Any:
    def dumps(*texts: str) -> str:
        return json.dumps(_with_texts(value, iter(texts)), ensure_ascii=ensure_ascii, **options)

    return traced(dumps, *_texts_in(value))


def _texts_in(value: Any) -> Iterator[str]:
    """The strings in a value, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(item)


def _with_texts(value: Any, texts: Iterator[str]) -> Any:
    """The value with other strings in their places."""
    if isinstance(value, str):
        return next(texts)
    if isinstance(value, dict):
        return {key: _with_texts(item, texts) for key, item in value.items()}
    return [_with_texts(item, texts) for item in value] if isinstance(value, list | tuple) else value


@pass_environment
def _join(
    environment: Environment, value: Iterable[Any], d: str = "", attribute: str | int | None = None
) -> TracedText:
    items = value if attribute is None else map(make_attrgetter(environment, attribute), value)
    return TracedText(str(d)).join([str(item) for item in items])


def _looked_for(program: nodes.Template, methods: Collection[str]) -> Iterator[str]:
    """The literals that a template gives to some methods or filters of strings; what it asks for with `in`, too."""
    calls = (call for call in program.find_all(nodes.Call) if call.args and _method(call) in methods)
    operands: list[nodes.Node] = [call.args[0] for call in calls]
    operands += [call.args[0] for call in program.find_all(nodes.Filter) if call.args and call.name in methods]
    if "startswith" in methods:
        operands += [test.expr for test in program.find_all(nodes.Compare) if test.ops[0].op in ("in", "notin")]
    names = {node.name for node in operands if isinstance(node, nodes.Name)}
    for assigned in program.find_all(nodes.Assign):
        if isinstance(assigned.target, nodes.Name) and assigned.target.name in names:
            operands.append(assigned.node)
    return (node.value for node in operands if isinstance(node, nodes.Const) and isinstance(node.value, str))


def _method(call: nodes.Call) -> str:
    return call.node.attr if isinstance(call.node, nodes.Getattr) else ""
