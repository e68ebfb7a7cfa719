"""The words of a receipt: the line under an answer that says how it was routed, what it cost and how it ended."""

from __future__ import annotations

from dlp_local.core.events import ReplyDone
from dlp_local.core.values import FinishReason, Route

ENDINGS: dict[FinishReason, str] = {
    "length": "cut off at the limit",
    "loop": "stopped: it repeated itself",
    "cancelled": "stopped",
    "error": "broken off",
}
"""How an answer ended, unless by itself."""

FIRST_TOKEN = "first token"
"""What the time until then is called."""


def route_receipt(route: Route) -> tuple[str, ...]:
    """The mix, and what routing took unless the mix was given by hand: `sql 0.72 · base 0.28`, `2 ms route`.

    Of a message in parts the mix of each: `shell 1.00, then dates 1.00`.
    """
    mix = ", then ".join(str(part.mix) for part in route.parts or (route,))
    return (mix, f"{milliseconds(route.total_ms)} route") if route.probabilities else (mix,)


def trimmed_note(turns: int) -> str:
    """What is said where so many of the oldest turns were left out of an answer; empty for none."""
    if not turns:
        return ""
    fit = "turn no longer fits and was" if turns == 1 else f"{turns} turns no longer fit and were"
    return f"The oldest {fit} left out of this answer."


def no_answer_note(reply: ReplyDone, allow_more: str = "") -> str:
    """What is said of a reply that is reasoning alone; `allow_more` is the advice where it was cut off at the limit.

    Empty for one that has an answer, that was stopped, or that broke off, which is told elsewhere.
    """
    if reply.answer or not reply.reasoning or reply.finish_reason in ("cancelled", "error"):
        return ""
    advice = f" {allow_more}" if allow_more and reply.finish_reason == "length" else ""
    return f"The model ended within its reasoning and gave no answer.{advice}"


def receipt_lines(reply: ReplyDone) -> tuple[str, ...]:
    """The lines under an answer: one, or, where it has parts, one for each with its number."""
    if not reply.parts:
        return (" · ".join(reply_receipt(reply)),)
    routed = f"{milliseconds(reply.route.total_ms)} route"
    return tuple(
        " · ".join([f"{number}. {part.route.mix}", *([routed] if number == 1 else []), *_outcome(part)])
        for number, part in enumerate(reply.parts, start=1)
    )


def reply_receipt(reply: ReplyDone) -> tuple[str, ...]:
    """The route's part, times, speed, and how it ended unless by itself.

    `sql 0.72 · shell 0.22 · base 0.06`, `2 ms route`, `180 ms first token`, `96 tok/s`, `stopped`.
    """
    return *route_receipt(reply.route), *_outcome(reply)


def _outcome(reply: ReplyDone) -> list[str]:
    parts = []
    if reply.answer_tokens:
        parts.append(f"{milliseconds(reply.timings.first_token)} {FIRST_TOKEN}")
    if reply.tokens_per_second:
        parts.append(speed_text(reply.tokens_per_second))
    if reply.engine:
        parts.append(reply.engine)
    if ending := ENDINGS.get(reply.finish_reason):
        parts.append(ending)
    return parts


def speed_text(tokens_per_second: float) -> str:
    """`96 tok/s`."""
    return f"{tokens_per_second:.0f} tok/s"


def milliseconds(value: float) -> str:
    """Whole milliseconds; from ten seconds on, seconds."""
    if value >= 10_000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 1 else "<1 ms"
