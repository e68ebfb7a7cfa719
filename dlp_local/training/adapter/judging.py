"""Held-out rows, answered through the product: how right the answers are under one mix and under another."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from dlp_local.asked_together import ask_together, groups
from dlp_local.assistant import Assistant
from dlp_local.core.answer_format import ANY_TEXT, AnswerFormat
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import EngineError
from dlp_local.core.events import Event, ReplyDone
from dlp_local.core.job import Cancellation, Job, returned
from dlp_local.core.json_text import is_same_json
from dlp_local.core.values import Mix
from dlp_local.training.adapter.events import Score
from dlp_local.training.adapter.rows import TrainingRow


def answering(
    assistant: Assistant,
    rows: Sequence[TrainingRow],
    mix: Mix | None,
    max_tokens: int,
    cancellation: Cancellation,
    system: str | None = None,
) -> Generator[int, None, list[str]]:
    """An answer to each row, greedy, as many at once as the engine computes; with no mix, as each is routed.

    Says how many there are, one by one, and asked again gives the same. Raises `EngineError` where one cannot be had;
    where it is cancelled the rest of the answers are empty.
    """

    def answer(index: int) -> str:
        if cancellation.requested:
            return ""
        job = greedy_reply(assistant, rows[index], mix, max_tokens, system)
        with cancellation.forwarded(job.cancel):
            done = job.finish()
        assert isinstance(done, ReplyDone)
        if done.error:
            raise EngineError(done.error)
        return "" if cancellation.requested else done.answer

    given = dict.fromkeys(range(len(rows)), "")
    done = 0
    for group in groups(assistant, range(len(rows))):
        for index, future in ask_together(assistant, group, answer):
            given[index] = future.result()
            done += 1
            yield done
    return list(given.values())


def answers(
    assistant: Assistant, rows: Sequence[TrainingRow], mix: Mix | None, max_tokens: int, cancellation: Cancellation
) -> list[str]:
    """What `answering` gives, without its progress."""
    return returned(answering(assistant, rows, mix, max_tokens, cancellation))


def greedy_reply(
    assistant: Assistant,
    row: TrainingRow,
    mix: Mix | None,
    max_tokens: int,
    system: str | None = None,
    answer_format: AnswerFormat = ANY_TEXT,
) -> Job[Event]:
    """The turn of a row: its conversation under its own system prompt, or under `system`."""
    instructions = next((message.content for message in row.messages if message.role == "system"), system)
    options = ChatOptions(
        system=instructions, temperature=0.0, repeat_penalty=1.0, max_tokens=max_tokens, split=False, seed=0
    )
    history = [message for message in row.messages[:-1] if message.role != "system"]
    return assistant.reply(row.prompt, history, mix=mix, options=options, answer_format=answer_format)


def score(given: Sequence[str], rows: Sequence[TrainingRow]) -> Score:
    """How right answers to rows are; where several rows have one message, any of their answers is right."""
    from sacrebleu import sentence_chrf

    exact = total = 0.0
    for answer, row in zip(given, rows, strict=True):
        wanted = [other.answer for other in rows if other.messages == row.messages]
        exact += any(is_same(answer, one) for one in wanted)
        total += sentence_chrf(answer.strip(), wanted).score / 100
    return Score(len(rows), exact / len(rows), total / len(rows))


def is_same(answer: str, wanted: str) -> bool:
    """The same text, or the same JSON, whatever the order of its keys and the spaces in it."""
    return answer.strip() == wanted.strip() or is_same_json(answer, wanted)
