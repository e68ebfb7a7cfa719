"""An answer, or another one: drawn anew, and warmer each time, until its text is one that was not there before."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing
from dataclasses import replace

from dlp_local.core.events import AnswerWasReasoning, Generated, ReasoningDelta, TextDelta
from dlp_local.core.job import Cancellation
from dlp_local.core.settings import SEEDS, Sampling
from dlp_local.engine.base import EngineEvent, Reply

LEAST_TEMPERATURE = 0.7
"""Greedy decoding would give the same answer again, also where a person chose it."""

WARMER = 0.2
"""Added to the temperature for each draw that gave a text which was there before."""

WIDER = 0.25
"""Min-p is multiplied by this for each such draw, so that less probable tokens may come, the likelier ones first."""

MOST_DRAWS = 16


def draw(
    generate: Callable[[Sampling], Reply], sampling: Sampling, earlier: Collection[str], cancellation: Cancellation
) -> Generator[EngineEvent, None, None]:
    """The events of an answer whose text is none of `earlier`, or of the last of `MOST_DRAWS` draws.

    Where `earlier` is empty, it is the answer under `sampling` as it is. `sampling` has a seed. Events are held back as
    long as the text is the beginning of an earlier one.
    """
    started = time.perf_counter()
    held: list[EngineEvent] = []
    for options in _draws(sampling, len(earlier)) if earlier else [sampling]:
        spent = (time.perf_counter() - started) * 1000
        reply, answer, is_another, held = generate(options), "", False, []
        with closing(reply), cancellation.forwarded(reply.cancel):
            for event in reply:
                match event:
                    case TextDelta(text):
                        answer += text
                        is_another = is_another or not any(other.startswith(answer) for other in earlier)
                    case ReasoningDelta() | AnswerWasReasoning():
                        # It is shown as it comes, and what follows it cannot be taken back then.
                        answer, is_another = "", True
                    case Generated(reason):
                        is_another = is_another or reason in ("cancelled", "error") or answer not in earlier
                        event = _later(event, spent)
                held.append(event)
                if is_another:
                    yield from held
                    held.clear()
        if is_another:
            return
    yield from held


def _later(done: Generated, spent: float) -> Generated:
    """The same end after the milliseconds that earlier draws took."""
    return replace(done, first_token_ms=done.first_token_ms + spent, total_ms=done.total_ms + spent)


def _draws(sampling: Sampling, earlier: int) -> Iterator[Sampling]:
    """The options of each draw, every one with a seed of its own, warmer and wider than the one before."""
    temperature = sampling.temperature or LEAST_TEMPERATURE
    for count in range(MOST_DRAWS):
        seed = ((sampling.seed or 0) + earlier + count) % SEEDS
        change = {"temperature": min(temperature + WARMER * count, 5.0), "seed": seed}
        wider = {"min_p": sampling.min_p * WIDER**count, "top_p": 1.0} if count else {}
        yield sampling.model_copy(update=change | wider)
