"""What of a conversation goes into the context: of what cannot fit, only the beginning is read."""

import pytest

from dlp_local.core.answer_format import Tool
from dlp_local.core.errors import ContextLengthError
from dlp_local.core.values import Message
from dlp_local.engine.context_fit import fit
from dlp_local.engine.prompt import CACHED_LENGTH, PromptBuilder
from dlp_local.engine.template import PLAIN_TEMPLATE, ChatTemplate
from tests.support.characters import Characters

CONTEXT = 1000
ENDLESS = "word " * 200_000
SHORT = Message("user", "short")


class Counting(Characters):
    """Counts the characters that it reads."""

    characters = 0

    def tokenize(self, text, *, special):
        self.characters += len(text)
        return super().tokenize(text, special=special)


@pytest.fixture
def vocabulary():
    return Counting()


@pytest.fixture
def prompts(vocabulary):
    prompts = PromptBuilder(vocabulary, ChatTemplate(PLAIN_TEMPLATE))
    vocabulary.characters = 0
    return prompts


@pytest.mark.parametrize(("role", "what"), [("system", "the system prompt is"), ("user", "the message is")])
def test_what_is_far_too_long_is_refused_by_its_beginning(prompts, vocabulary, role, what):
    with pytest.raises(ContextLengthError, match=rf"^{what} too long: \d+ tokens or more in all, and \d+ fit"):
        fit(prompts, [Message(role, ENDLESS), SHORT][: 2 if role == "system" else 1], CONTEXT, 100)
    assert vocabulary.characters <= 2 * CACHED_LENGTH


def test_tools_that_are_too_long_are_said_to_be(prompts):
    tools = [Tool("look_up", "word " * 400)]
    with pytest.raises(ContextLengthError, match=r"^the tools and the system prompt are too long"):
        fit(prompts, [SHORT], CONTEXT, 100, tools)


def test_an_endless_turn_of_the_past_is_left_out_by_its_beginning(prompts, vocabulary):
    messages = [Message("user", ENDLESS), Message("assistant", "yes"), SHORT]
    prompt, dropped = fit(prompts, messages, CONTEXT, 100)
    assert dropped == 1
    assert prompt == fit(prompts, [SHORT], CONTEXT, 100)[0]
    assert vocabulary.characters <= 2 * CACHED_LENGTH
