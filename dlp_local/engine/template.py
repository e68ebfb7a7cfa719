"""A chat template: messages → text, in the sandbox and with the helpers that model authors write templates for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dlp_local.core.errors import PackError

PLAIN_TEMPLATE = (
    "{% for m in messages %}{{ {'system': '', 'user': 'User: ', 'assistant': 'Assistant: '}[m.role] }}"
    "{{ m.content | trim }}\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""For a backbone that brings no template."""

PLAIN_STOPS = tuple(
    f"\n{spelling}:"
    for name in ("User", "Human", "System", "Assistant", "Question", "Instruction")
    for spelling in (name, name.upper(), name.lower())
)
"""What a backbone without a template writes after its answer: somebody's next turn."""

Rendering = Sequence[Mapping[str, Any]]


class ChatTemplate:
    """A Jinja chat template, rendered as transformers' `apply_chat_template` does.

    `bos` and `eos`: the texts of the model's begin and end tokens. Raises `PackError` for a source that is no Jinja.
    """

    def __init__(self, source: str, bos: str = "", eos: str = "") -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals.update(raise_exception=_raise, strftime_now=lambda form: datetime.now().strftime(form))
        self.source = source
        self.end_texts = PLAIN_STOPS if source == PLAIN_TEMPLATE else ()
        """Texts that end an answer, beside what the template writes after one."""

        self._given = {"bos_token": bos, "eos_token": eos, "tools": None, "documents": None}
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise PackError(f"the chat template cannot be read ({error}). Use another one.") from None

    def render(self, messages: Rendering, add_generation_prompt: bool) -> str:
        """The text of a conversation; a template is a program of its author's and may raise anything."""
        return self._template.render(
            messages=[dict(message) for message in messages],
            add_generation_prompt=add_generation_prompt,
            **self._given,
        )


class _GenerationTag(Extension):
    """`{% generation %}` marks what the assistant says, for training; here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012 (jinja2's own attribute)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)
