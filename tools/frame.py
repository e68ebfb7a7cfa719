"""The chat frame of the bundled backbone: its special tokens and its template.

`<|user|>question<|end|><|assistant|>answer<|end|>`, with an optional `<|system|>…<|end|>` before it. There is no
separate beginning-of-sequence token: a conversation without a system prompt starts at the `<|user|>` that also
switches the adapters on, so a first turn runs under the mix from its very first token.
"""

END, TEXT, SYSTEM, USER, ASSISTANT = "<|end|>", "<|text|>", "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL_TOKENS = (END, TEXT, SYSTEM, USER, ASSISTANT)

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def render(turns: list[tuple[str, str]]) -> str:
    """Joins (role, text) pairs into the frame, exactly as `CHAT_TEMPLATE` does."""
    return "".join(f"<|{role}|>{text}{END}" for role, text in turns)
