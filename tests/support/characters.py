"""A tokenizer that can be read: one token a character."""

from __future__ import annotations

import re


class Characters:
    """A tokenizer whose tokens are characters; control tokens count from 1,000,000 on, others from 2,000,000."""

    CONTROL = ("<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>", "<eos>", "</think>")
    USER_DEFINED = ("[user]", "[assistant]")
    opening_tokens: tuple[int, ...] = ()

    def __init__(self, control=CONTROL, user_defined=USER_DEFINED):
        self.control, self.user_defined = control, user_defined

    def tokenize(self, text, *, special):
        names = [(name, 2_000_000 + number) for number, name in enumerate(self.user_defined)]
        if special:
            names += [(name, 1_000_000 + number) for number, name in enumerate(self.control)]
        pattern = "|".join(re.escape(name) for name, _ in sorted(names, key=lambda pair: -len(pair[0]))) or "(?!)"
        known = dict(names)
        return [
            token
            for part in re.split(f"({pattern})", text)
            for token in ([known[part]] if part in known else map(ord, part))
        ]

    def name(self, token):
        if token >= 2_000_000:
            return self.user_defined[token - 2_000_000]
        return self.control[token - 1_000_000] if token >= 1_000_000 else chr(token)

    def piece(self, token):
        return b"" if 1_000_000 <= token < 2_000_000 else self.name(token).encode()

    def kind(self, token):
        return "user defined" if token >= 2_000_000 else "control" if token >= 1_000_000 else "normal"

    def is_end(self, token):
        return self.name(token) == "<eos>"

    def text(self, tokens):
        return "".join(map(self.name, tokens))
