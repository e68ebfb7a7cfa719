"""The one JSON form of a route, a receipt and a reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlp_local.core.events import ReplyDone, Timings
from dlp_local.core.values import FinishReason, Mix, Route


def receipt_json(done: ReplyDone) -> dict[str, Any]:
    """Everything of a reply but its texts, as JSON; `receipt_from_json` reads it back unchanged."""
    return {
        "mix": dict(done.route.mix.weights),
        "probabilities": dict(done.route.probabilities),
        "finish_reason": done.finish_reason,
        "tokens": {"prompt": done.prompt_tokens, "answer": done.answer_tokens},
        "context": {"used": done.context_used, "size": done.context_size},
        "timings_ms": {
            "embed": done.route.embed_ms,
            "route": done.route.route_ms,
            "routed": done.timings.route,
            "first_token": done.timings.first_token,
            "total": done.timings.total,
        },
        "error": done.error,
    }


def receipt_from_json(text: str, answer: str, receipt: Mapping[str, Any]) -> ReplyDone:
    """A reply from its texts and its receipt; raises `KeyError`, `TypeError` or `ValueError` for another shape."""
    times, tokens, context = receipt["timings_ms"], receipt["tokens"], receipt["context"]
    mix = Mix.of({str(name): float(weight) for name, weight in receipt["mix"].items()})
    probabilities = {str(name): float(p) for name, p in receipt["probabilities"].items()}
    reasons: dict[str, FinishReason] = {"stop": "stop", "length": "length", "cancelled": "cancelled", "error": "error"}
    return ReplyDone(
        text=text,
        answer=answer,
        route=Route(text, probabilities, mix, float(times["embed"]), float(times["route"])),
        finish_reason=reasons[receipt["finish_reason"]],
        prompt_tokens=int(tokens["prompt"]),
        answer_tokens=int(tokens["answer"]),
        context_used=int(context["used"]),
        context_size=int(context["size"]),
        timings=Timings(float(times["routed"]), float(times["first_token"]), float(times["total"])),
        error=str(receipt["error"]),
    )
