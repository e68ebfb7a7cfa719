"""What a reply says of how it came about: the extra field and the header."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from dlp_local import __version__
from dlp_local.core.events import ReplyDone
from dlp_local.core.serialize import receipt_json
from dlp_local.core.values import Route, spelled
from dlp_local.server.errors import ApiError

FINGERPRINT = f"dlp-local {__version__}"
MIX_HEADER = "X-DLP-Local-Mix"


def mix_header(route: Route) -> dict[str, str]:
    """`sql=0.75,base=0.25`; of a message in parts, the mixes of all with `; ` between them."""
    mixes = [part.mix.as_dict() for part in route.parts or (route,)]
    return {MIX_HEADER: "; ".join(spelled(mix.items()) for mix in mixes)}


def receipt(reply: ReplyDone, trimmed: int = 0, ignored: Sequence[str] = ()) -> dict[str, Any]:
    """The receipt; `history_trimmed` turns did not fit, `ignored` are fields of the request without effect."""
    return {
        **receipt_json(reply),
        **({"history_trimmed": trimmed} if trimmed else {}),
        **({"ignored": list(ignored)} if ignored else {}),
    }


def finish_reason(reply: ReplyDone) -> Literal["stop", "length", "tool_calls"]:
    """OpenAI's word for how an answer ended; what was cut off in whatever way is `length`."""
    if reply.finish_reason != "stop":
        return "length"
    return "tool_calls" if reply.tool_calls else "stop"


def broken_off(reply: ReplyDone) -> ApiError:
    """The error of an answer that the engine did not bring to its end; the envelope is beside what had come."""
    came = {"answer": reply.answer, **receipt_json(reply)}
    return ApiError(503, f"{reply.error} Ask again.", code="engine_failed", extra={"dlp_local": came})
