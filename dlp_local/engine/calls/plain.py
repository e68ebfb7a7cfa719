"""Tools, calls and results in plain words, for templates that do not know them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from dlp_local.core.answer_format import Tool
from dlp_local.core.values import BLANK_LINE, Message, ToolCall
from dlp_local.engine.calls.syntax import PLAIN_SYNTAX

_TOOLS = """You may call these tools, each described by a JSON object:
{tools}

To call a tool, answer with nothing but its name and its arguments, as a JSON object in these tags:
<tool_call>
{{"name": "...", "arguments": {{...}}}}
</tool_call>
The result of the call comes with the next message. Answer in words where no tool is needed."""


def tools_text(tools: Sequence[Tool]) -> str:
    """What a model is told of tools."""
    described = (
        {"name": tool.name, "description": tool.description, "parameters": json.loads(tool.parameters)}
        for tool in tools
    )
    return _TOOLS.format(tools="\n".join(json.dumps(tool, ensure_ascii=False) for tool in described))


def call_text(call: ToolCall) -> str:
    """A call as a model is told to write it; arguments that are no JSON stay the text that they are."""
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = call.arguments
    written = json.dumps({"name": call.name, "arguments": arguments}, ensure_ascii=False)
    return f"{PLAIN_SYNTAX.opening}{written}{PLAIN_SYNTAX.closing}"


def in_plain_words(messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """The conversation with nothing in it but texts of the system, the user and the assistant.

    Results of calls are the user's messages; they keep the call's number, by which they are no turn of their own.
    """
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    plain = [Message("system", tools_text(tools))] if tools else []
    for message in messages:
        if message.role == "tool":
            name = names.get(message.tool_call_id, "")
            head = f"Result of the tool {name}:" if name else "Result of the tool:"
            plain.append(Message("user", f"{head}\n{message.content}", tool_call_id=message.tool_call_id or "result"))
        else:
            texts = [message.content, *map(call_text, message.tool_calls)]
            content = BLANK_LINE.join(text for text in texts if text.strip()) if message.tool_calls else message.content
            plain.append(replace(message, content=content, tool_calls=()))
    system = [message.content for message in plain if message.role == "system"]
    if tools and len(system) > 1 and plain[1].role == "system":  # the client's own instructions come first
        plain[:2] = [Message("system", f"{system[1]}{BLANK_LINE}{system[0]}")]
    return plain
