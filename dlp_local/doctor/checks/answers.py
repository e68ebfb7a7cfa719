"""What the pack in use answers: two different messages, routed and answered, timed and compared."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from dlp_local.assistant import Assistant
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import DlpLocalError
from dlp_local.core.events import ReplyDone
from dlp_local.core.receipt import FIRST_TOKEN, speed_text
from dlp_local.core.settings import Settings
from dlp_local.doctor.result import CheckResult
from dlp_local.opening import open_assistant

MESSAGES = ("Hello, what can you do?", "Count from one to ten, please.")
"""Asked where a pack brings no examples of its own; the second one always."""

LONGEST = 32
"""Tokens of an answer."""

REPEATED_SHARE = 0.75
"""An answer that was cut says one thing for ever where this much of its end repeats one piece of text…"""

REPEATS = 4
"""…at least so many times."""

_ABOVE = "Mend what is not well above."
_DAMAGED = "The weights of the backbone may be damaged: get its file again, or use another one."


def check_answers(folder: Path, settings: Settings) -> Iterator[CheckResult]:
    """A check of one answer with its times, and one of whether answers are those of a sound model."""
    try:
        started = time.perf_counter()
        with open_assistant(settings, folder) as assistant:
            opened = time.perf_counter() - started
            first = _ask(assistant, next(iter(assistant.examples), MESSAGES[0]))
            second = _ask(assistant, MESSAGES[1])
    except DlpLocalError as error:
        yield CheckResult("answer", False, str(error), _ABOVE)
        return
    if problem := first.error or second.error:
        yield CheckResult("answer", False, problem, _ABOVE)
        return
    yield _timed(first, opened)
    yield _compared(first, second)


def _ask(assistant: Assistant, message: str) -> ReplyDone:
    *_, done = assistant.reply(message, options=ChatOptions(temperature=0, max_tokens=LONGEST))
    assert isinstance(done, ReplyDone)
    return done


def _timed(done: ReplyDone, opened: float) -> CheckResult:
    speed = f", {speed_text(done.tokens_per_second)}" if done.tokens_per_second else ""
    return CheckResult(
        "answer",
        True,
        f"'{done.text}' went to {done.route.mix} and {_told(done)}: opened in {opened:.1f} s, "
        f"routed in {done.timings.route:.0f} ms, {FIRST_TOKEN} after {done.timings.first_token:.0f} ms{speed}",
    )


def _compared(first: ReplyDone, second: ReplyDone) -> CheckResult:
    name = "answers compared"
    for done in (first, second):
        if not _written(done).strip():
            return CheckResult(name, False, f"the answer to '{done.text}' is empty", _DAMAGED)
        if done.finish_reason != "stop" and says_one_thing(_written(done)):
            ever = f"the answer to '{done.text}' says one thing for ever: '{_written(done)}'"
            return CheckResult(name, False, ever, _DAMAGED)
    is_cut = "stop" not in (first.finish_reason, second.finish_reason)
    if is_cut and _written(first) == _written(second):  # short answers that end by themselves may be alike
        return CheckResult(name, False, f"'{first.text}' and '{second.text}' both gave '{_written(first)}'", _DAMAGED)
    alike = ", as to the first" if _written(first) == _written(second) else ""
    return CheckResult(name, True, f"'{second.text}' went to {second.route.mix} and {_told(second)}{alike}")


def _written(done: ReplyDone) -> str:
    """What a reply is judged by: its answer, or the reasoning that was not over within `LONGEST` tokens."""
    return done.answer or done.reasoning


def _told(done: ReplyDone) -> str:
    return f"gave '{done.answer}'" if done.answer else f"was still reasoning: '{done.reasoning}'"


def says_one_thing(text: str) -> bool:
    """Whether the end of a text, `REPEATED_SHARE` of it, is one piece repeated `REPEATS` times or more."""
    tail = text.strip()
    tail = tail[int(len(tail) * (1 - REPEATED_SHARE)) :]
    return any(tail[size:] == tail[:-size] for size in range(1, len(tail) // REPEATS + 1))
