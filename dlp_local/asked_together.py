"""Many questions to an assistant at once, so that asking them again gives the same answers, to the letter.

llama.cpp rounds otherwise in a batch of another size. So what is computed beside what has to be the same each time:
questions are asked in groups, each begins with an engine that keeps nothing of the one before, and within a group no
step depends on when a thread came.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from itertools import islice
from typing import TypeVar

from dlp_local.assistant import Assistant

GROUP, ROUNDS = 64, 4
"""Questions of a group: at least, and as many times those that are answered at once, for at its end fewer are left."""

Question = TypeVar("Question")
Found = TypeVar("Found")


def groups(assistant: Assistant, questions: Sequence[Question]) -> Iterator[list[Question]]:
    """Questions in groups, in their order."""
    size = max(GROUP, ROUNDS * assistant.concurrent_replies)
    rest = iter(questions)
    while group := list(islice(rest, size)):
        yield group


def ask_together(
    assistant: Assistant, group: Sequence[Question], ask: Callable[[Question], Found]
) -> Generator[tuple[Question, Future[Found]], None, None]:
    """What `ask` gives for each question of a group, as they end; it may ask the assistant several times.

    Where it is closed before its end, it waits for all of them.
    """

    def as_member(number: int, question: Question) -> Found:
        with together.member(number):
            return ask(question)

    with assistant.together(len(group)) as together, ThreadPoolExecutor(len(group), "asked") as threads:
        asked = {threads.submit(as_member, number, question): question for number, question in enumerate(group)}
        for future in as_completed(asked):
            yield asked[future], future
