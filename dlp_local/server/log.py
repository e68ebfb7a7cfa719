"""What the server writes to its terminal: never anything that a request or an answer says."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from starlette.types import Scope

from dlp_local.core.errors import DlpLocalError
from dlp_local.core.text import visible


def log_unexpected(error: BaseException) -> None:
    """Says of an error that nobody expected what kind it is and where it arose, without its text."""
    if isinstance(error, DlpLocalError):
        return
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-4:]]
    print(f"dlp-local: {type(error).__name__} in {' > '.join(places)}", file=sys.stderr, flush=True)


def log_refused_pack(error: DlpLocalError) -> None:
    """Says why a change of the pack is not taken over; such errors name files and adapters alone."""
    print(
        f"dlp-local: the pack was changed, and what was open goes on: {visible(str(error))}",
        file=sys.stderr,
        flush=True,
    )


def log_request(scope: Scope, status: int, seconds: float) -> None:
    """One line of a request: whose, which, how it ended and how long it took."""
    client = scope.get("state", {}).get("client") or (scope["client"] or [""])[0]  # who was refused has no name
    line = f"{client} {scope['method']} {scope['path']} {status} {seconds * 1000:.0f} ms"
    print(f"dlp-local: {visible(line)}", file=sys.stderr, flush=True)
