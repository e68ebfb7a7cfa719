"""The last line of the window: who answers, what it is doing, how full its context is."""

from __future__ import annotations

from urllib.parse import urlsplit

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.events import PromptProgress
from dlp_local.core.receipt import speed_text
from dlp_local.core.text import counted, visible
from dlp_local.core.values import BASE
from tui.state import Status

BAR = 10


class StatusLine(Horizontal):
    """Left: pack, adapters, state (last, so that its changes move nothing). Right: context."""

    def compose(self) -> ComposeResult:
        """Two ends of a line."""
        yield Static(id="who", markup=False)
        yield Static(id="context", markup=False)

    def show(self, status: Status) -> None:
        """Renders the state of the session."""
        self.query_one("#who", Static).update(who(status))
        self.query_one("#context", Static).update(context(status))
        self.set_class(status.phase == "failed", "failed")


def who(status: Status) -> str:
    """`bundled · 6 adapters · ready`; behind the pack's name the engine, where that is another program's."""
    if status.phase == "loading":
        return "loading …"
    if status.phase == "failed":
        return "no server" if status.place.server else "not loaded"
    count = len(status.adapters)
    adapters = counted(count, "adapter")
    doing = status.activity or (reading(status.reading) if status.reading else status.phase)
    speed = f" · {speed_text(status.speed)}" if status.speed and doing == "ready" else ""
    engine = [f"engine {urlsplit(status.place.engine).netloc}"] if status.place.engine else []
    parts = [status.name, *engine, *(set_here(status.options) or [adapters])]
    training = f" · training {status.training}" if status.training else ""
    unsaved = " · not saved" if status.notice else ""
    return visible(f"{' · '.join(parts)} · {doing}{speed}{training}{unsaved}")


def reading(progress: PromptProgress) -> str:
    """`reading 1.2k of 4.0k`, in tokens."""
    return f"reading {progress.done / 1024:.1f}k of {progress.total / 1024:.1f}k"


def set_here(options: ChatOptions) -> list[str]:
    """What the conversation sets for itself, in a few words."""
    parts = [options.persona] if options.persona else []
    if options.mix is not None:
        weights = " ".join(f"{name} {weight:.2f}" for name, weight in options.mix.weights)
        parts.append(f"pinned {weights or BASE}")
    if options.vetoed:
        parts.append(f"without {', '.join(options.vetoed)}")
    return parts


def context(status: Status) -> str:
    """`█░░░░░░░░░ 0.2k/1k`: tokens, and a bar that shows something as soon as there is something."""
    if not status.context_size:
        return ""
    filled = min(BAR, -(-status.context_used * BAR // status.context_size))
    return f"{'█' * filled}{'░' * (BAR - filled)} {kilo(status.context_used)}/{kilo(status.context_size)}"


def kilo(tokens: int) -> str:
    """Tokens in units of 1024, as context sizes are: 8192 is `8k`; a few are counted."""
    return str(tokens) if tokens < 100 else f"{tokens / 1024:.1f}".removesuffix(".0") + "k"
