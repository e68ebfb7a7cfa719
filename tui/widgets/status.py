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
from dlp_local.core.values import BASE, Mix
from tui.state import Status

BAR, SHORT_BAR = 10, 4
NARROW = 72
"""A line of fewer cells has room for the short bar alone, and so has one that tells of a training."""


class StatusLine(Horizontal):
    """Left: pack, adapters, state (last, so that its changes move nothing). Right: context."""

    def compose(self) -> ComposeResult:
        """Two ends of a line."""
        yield Static(id="who", markup=False)
        yield Static(id="context", markup=False)

    def __init__(self) -> None:
        super().__init__()
        self._status = Status()

    def show(self, status: Status) -> None:
        """Renders the state of the session."""
        self._status = status
        self.query_one("#who", Static).update(who(status))
        self._show_context()
        self.set_class(status.phase == "failed", "failed")

    def on_resize(self) -> None:
        """A narrow line has more room for words than for the bar."""
        self._show_context()

    def _show_context(self) -> None:
        has_room = self.app.size.width >= NARROW and not self._status.training
        bar = BAR if has_room else SHORT_BAR
        self.query_one("#context", Static).update(context(self._status, bar))


def who(status: Status) -> str:
    """`bundled · 6 adapters · ready`; behind the pack's name the engine, where that is another program's."""
    if status.phase == "loading":
        return "loading …"
    if status.phase == "failed":
        return "no server" if status.place.server else "not loaded"
    count = len(status.adapters)
    adapters = counted(count, "adapter")
    doing = status.activity or (reading(status.reading) if status.reading else status.phase)
    is_told = status.speed and doing == "ready" and not status.training
    speed = f" · {speed_text(status.speed)}" if is_told else ""
    engine = [f"engine {urlsplit(status.place.engine).netloc}"] if status.place.engine else []
    parts = [status.name, *engine, *(set_here(status.options) or [adapters])]
    training = f" · training {status.training}" if status.training else ""
    unsaved = " · not saved" if status.is_unsaved else ""
    return visible(f"{' · '.join(parts)} · {doing}{speed}{training}{unsaved}")


def reading(progress: PromptProgress) -> str:
    """`reading 1.2k of 4.0k`, in tokens."""
    return f"reading {progress.done / 1024:.1f}k of {progress.total / 1024:.1f}k"


def set_here(options: ChatOptions) -> list[str]:
    """What the conversation sets for itself, in a few words."""
    parts = [options.persona] if options.persona else []
    if options.mix is not None:
        parts.append(f"pinned {pinned(options.mix)}")
    if options.vetoed:
        parts.append(f"without {', '.join(options.vetoed)}")
    return parts


def pinned(mix: Mix) -> str:
    """`sql 0.72 shell 0.22`, in the order of a receipt; base is told where it is all there is."""
    weights = sorted(mix.weights, key=lambda item: -item[1])
    return " ".join(f"{name} {weight:.2f}" for name, weight in weights) or BASE


def context(status: Status, bar: int = BAR) -> str:
    """`█░░░░░░░░░ 0.2k/1k`: tokens, and a bar that shows something as soon as there is something."""
    if not status.context_size:
        return ""
    filled = min(bar, -(-status.context_used * bar // status.context_size))
    return f"{'█' * filled}{'░' * (bar - filled)} {kilo(status.context_used)}/{kilo(status.context_size)}"


def kilo(tokens: int) -> str:
    """Tokens in units of 1024, as context sizes are: 8192 is `8k`; a few are counted."""
    return str(tokens) if tokens < 100 else f"{tokens / 1024:.1f}".removesuffix(".0") + "k"
