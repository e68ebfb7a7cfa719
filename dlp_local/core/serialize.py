"""The one JSON form of a route, a receipt and a reply: printed (`--json`), stored and exported.

Milliseconds have three decimals, probabilities six. In `timings_ms`, `embed` is the encoder's time, `router` that of
the router's network, and `route` all of the routing; `first_token` and `total` count from the message on. A message of
several tasks has `parts`, each of the same form.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from dlp_local.core.earlier_answer import EarlierAnswer
from dlp_local.core.errors import InputError
from dlp_local.core.events import ReplyDone, Timings
from dlp_local.core.values import FinishReason, Message, Mix, Route, RouteExplanation, ToolCall

_REASONS: dict[str, FinishReason] = {reason: reason for reason in get_args(FinishReason)}


def messages_json(messages: Iterable[Message]) -> list[dict[str, str]]:
    """A conversation as OpenAI has it: the role and the content of each message."""
    return [{"role": message.role, "content": message.content} for message in messages]


def route_json(route: Route) -> dict[str, Any]:
    """A route with its message, and those of its `parts`, if any; `base` is in a mix where it has any weight."""
    parts = {"parts": [route_json(part) for part in route.parts]} if route.parts else {}
    return {"text": route.text, **_decision(route), "timings_ms": _routing_times(route), **parts}


def route_from_json(route: Mapping[str, Any]) -> Route:
    """A route from its form; raises `ValueError` for one of another shape."""
    try:
        return _route(route)
    except InputError as error:
        raise ValueError(str(error).rstrip(".")) from None
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        raise ValueError("what is in it is laid out in another way") from None


def _route(route: Mapping[str, Any]) -> Route:
    times = route["timings_ms"]
    return Route(
        str(route["text"]),
        {str(name): _number(p) for name, p in route["probabilities"].items()},
        Mix.of({str(name): _number(weight) for name, weight in route["mix"].items()}),
        _number(times["embed"]),
        _number(times["router"]),
        tuple(map(_route, route.get("parts", ()))),
    )


def reply_json(reply: ReplyDone) -> dict[str, Any]:
    """A whole reply: its message, its answer and its receipt."""
    return {"text": reply.text, "answer": reply.answer, **receipt_json(reply)}


def earlier_answer_json(earlier: EarlierAnswer) -> dict[str, Any]:
    """An answer that a message has already, as a request for another one names it."""
    mix = {} if earlier.mix is None else {"mix": dict(earlier.mix.weights)}
    return {"text": earlier.text, "answer": earlier.answer, **mix}


def receipt_json(reply: ReplyDone) -> dict[str, Any]:
    """Everything of a reply but its message and its answer; `reply_from_json` reads it back.

    `error`, `reasoning`, `tool_calls` and `parts`, which are whole replies, are there where there were some; `engine`
    where another program's server computed the answer.
    """
    timings, calls = reply.timings, reply.tool_calls
    return {
        **_decision(reply.route),
        "finish_reason": reply.finish_reason,
        "tokens": {"prompt": reply.prompt_tokens, "cached": reply.cached_tokens, "answer": reply.answer_tokens},
        "context": {"used": reply.context_used, "size": reply.context_size},
        "timings_ms": {
            **_routing_times(reply.route),
            "route": _milliseconds(timings.route),
            "first_token": _milliseconds(timings.first_token),
            "total": _milliseconds(timings.total),
        },
        **({"error": reply.error} if reply.error else {}),
        **({"reasoning": reply.reasoning} if reply.reasoning else {}),
        **({"engine": reply.engine} if reply.engine else {}),
        **({"parts": [reply_json(part) for part in reply.parts]} if reply.parts else {}),
        **({"tool_calls": [{"name": c.name, "arguments": c.arguments} for c in calls]} if calls else {}),
    }


def reply_from_json(text: str, answer: str, receipt: Mapping[str, Any]) -> ReplyDone:
    """A reply from its texts and its receipt, of this or the first form.

    Raises `ValueError` that says in plain words what is wrong with one of another shape.
    """
    try:
        return _reply(text, answer, receipt)
    except InputError as error:
        raise ValueError(str(error).rstrip(".")) from None
    except KeyError as error:
        raise ValueError(f"it has no {error.args[0]!a}") from None
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        raise ValueError("what is in it is laid out in another way") from None


def _reply(text: str, answer: str, receipt: Mapping[str, Any]) -> ReplyDone:
    times, tokens, context = receipt["timings_ms"], receipt["tokens"], receipt["context"]
    if "routed" in times:  # the first form: `route` was the network's time, and `routed` all of the routing
        times = {**times, "router": times["route"], "route": times["routed"]}
    mix = Mix.of({str(name): _number(weight) for name, weight in receipt["mix"].items()})
    probabilities = {str(name): _number(p) for name, p in receipt["probabilities"].items()}
    parts = tuple(_reply(str(part["text"]), str(part["answer"]), part) for part in receipt.get("parts", ()))
    routes = tuple(part.route for part in parts)
    return ReplyDone(
        text=text,
        answer=answer,
        route=Route(text, probabilities, mix, _number(times["embed"]), _number(times["router"]), routes),
        finish_reason=_REASONS[receipt["finish_reason"]],
        prompt_tokens=int(tokens["prompt"]),
        answer_tokens=int(tokens["answer"]),
        context_used=int(context["used"]),
        context_size=int(context["size"]),
        timings=Timings(_number(times["route"]), _number(times["first_token"]), _number(times["total"])),
        error=str(receipt.get("error", "")),
        reasoning=str(receipt.get("reasoning", "")),
        engine=str(receipt.get("engine", "")),
        cached_tokens=int(tokens.get("cached", 0)),
        parts=parts,
        tool_calls=tuple(ToolCall(str(c["name"]), str(c["arguments"])) for c in receipt.get("tool_calls", ())),
    )


def explanation_json(explanation: RouteExplanation) -> dict[str, Any]:
    """Why a message was routed as it was, under the key `why`."""
    return {
        "why": {
            "nearest": [
                {"adapter": n.adapter, "text": n.text, "cosine": round(n.cosine, 4), "corrected": n.is_corrected}
                for n in explanation.nearest
            ],
            "alone": ranked(explanation.alone),
            "carried": ranked(explanation.carried),
            "kept": ranked(explanation.kept),
            "cut": ranked(explanation.cut),
        }
    }


def ranked(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Probabilities by name, the most probable first, to six decimals."""
    return {name: round(p, 6) for name, p in sorted(probabilities.items(), key=lambda item: -item[1])}


def _decision(route: Route) -> dict[str, Any]:
    return {"mix": route.mix.as_dict(), "probabilities": ranked(route.probabilities)}


def _routing_times(route: Route) -> dict[str, float]:
    return {
        "embed": _milliseconds(route.embed_ms),
        "router": _milliseconds(route.route_ms),
        "route": _milliseconds(route.total_ms),
    }


def _milliseconds(value: float) -> float:
    return round(value, 3)


def _number(value: Any) -> float:
    if not math.isfinite(number := float(value)):
        raise ValueError(f"{value} is no number")
    return number
