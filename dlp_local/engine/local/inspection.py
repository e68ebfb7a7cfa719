"""Whether a backbone can converse, seen without its weights: its header, its vocabulary and its chat template."""

from __future__ import annotations

from pathlib import Path

from dlp_local.core.errors import PackError
from dlp_local.core.values import Message
from dlp_local.engine.local.model_file import check_model, open_vocabulary
from dlp_local.engine.prompt import PromptBuilder
from dlp_local.engine.rendering import ConversationRefusedError
from dlp_local.engine.template import OTHER_TEMPLATE

TALK = (
    Message("system", "Answer briefly."),
    Message("user", "What is the capital of France?"),
    Message("assistant", "Paris."),
    Message("user", "And of Spain?"),
)


def inspect_backbone(path: Path, chat_template: str) -> str:
    """What there is to say of a backbone, a sentence or nothing; `chat_template` takes the place of its own.

    Raises `PackError` where llama.cpp does not load it, and where the template takes no message in any shape.
    """
    check_model(path)
    with open_vocabulary(path) as vocabulary:
        prompts = PromptBuilder(vocabulary, vocabulary.template(chat_template))
        try:
            prompts.prompt(TALK)
        except ConversationRefusedError as refusal:
            try:
                prompts.prompt(TALK[1:2])
            except ConversationRefusedError as refused:
                raise PackError(
                    f"{path}: the chat template takes no message ({refused.reason}). {OTHER_TEMPLATE}"
                ) from None
            return f"the chat template takes single messages and no conversations ({refusal.reason}). {OTHER_TEMPLATE}"
    return ""
