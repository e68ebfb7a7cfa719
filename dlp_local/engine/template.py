"""A chat template: messages → text, in the sandbox and with the helpers that model authors write templates for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.exceptions import TemplateError

from dlp_local.core.errors import PackError
from dlp_local.engine.template_limits import TemplateLimitError, TemplateLimits
from dlp_local.engine.template_sandbox import TemplateSandbox
from dlp_local.engine.traced_text import TracedText

PLAIN_TEMPLATE = (
    "{% for m in messages %}{{ {'system': '', 'user': 'User: ', 'assistant': 'Assistant: '}[m.role] }}"
    "{{ m.content | trim }}\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""For a backbone that brings no template."""

_SPLITTING = frozenset({"split", "rsplit", "partition", "rpartition"})
_READING = _SPLITTING | {"replace", "removeprefix", "removesuffix", "startswith", "endswith", "find", "rfind", "index"}
"""Methods of strings, and a filter, whose first argument is a text that they look for."""

Rendering = Sequence[Mapping[str, Any]]


OTHER_TEMPLATE = "Give another one: `pack create --chat-template FILE`, or the setting engine.chat_template."
"""What to do about a template that cannot be used."""

LONGEST = 1 << 16
"""Characters of a template. The longest that are published have 30,000."""


class ChatTemplate:
    """A Jinja chat template, rendered as transformers' `apply_chat_template` does; by one thread at a time.

    `bos` and `eos`: the texts of the model's begin and end tokens. Raises `PackError` for a source that is no Jinja.
    """

    def __init__(self, source: str, bos: str = "", eos: str = "") -> None:
        if len(source) > LONGEST:
            raise PackError(f"the chat template has {len(source)} characters, and {LONGEST} are read. {OTHER_TEMPLATE}")
        self._sandbox = TemplateSandbox()
        self._sandbox.globals.update(raise_exception=_raise, strftime_now=_now)
        self.source = source
        self._given = {"bos_token": bos, "eos_token": eos, "tools": None, "documents": None}
        try:
            self._template = self._sandbox.from_string(source)
            program = self._sandbox.parse(source)
            looked_for, split_at = (frozenset(_looked_for(program, methods)) for methods in (_READING, _SPLITTING))
        except (TemplateError, SyntaxError, ValueError) as error:
            raise PackError(f"the chat template cannot be read ({error}). {OTHER_TEMPLATE}") from None
        except (RecursionError, MemoryError, OverflowError):
            raise PackError(f"the chat template cannot be read (it is nested too deeply). {OTHER_TEMPLATE}") from None
        self.looked_for = frozenset(text for text in looked_for if text.strip())
        """Texts that the template looks for in contents, and may take out of them with what is around."""

        self.split_at = split_at
        """Those at which it splits contents."""

    def render(
        self,
        messages: Rendering,
        add_generation_prompt: bool,
        tools: Sequence[Mapping[str, Any]] | None = None,
        others: Sequence[str] = (),
    ) -> TracedText:
        """The text of a conversation, whose contents keep their sources where they are `TracedText`.

        `others` are the texts that are in `tools` and in calls of them.

        A template is a program of its author's and may raise anything; `TemplateLimitError` where it computes too much.
        """
        self._sandbox.limits = TemplateLimits((*_texts(messages), *others))
        talk = [dict(message) for message in messages]
        try:
            text = self._template.render(
                messages=talk, add_generation_prompt=add_generation_prompt, **(self._given | {"tools": tools})
            )
        except (RecursionError, MemoryError):
            raise TemplateLimitError("calls itself too often") from None
        return TracedText(text)


def _texts(messages: Rendering) -> Iterator[str]:
    for message in messages:
        content = message["content"]
        yield content if isinstance(content, str) else "".join(part["text"] for part in content)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


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
