"""What the window shows, as values: one turn, and the state of the whole session.

They are frozen, so that no lock is needed between the session's thread and the window's: each step of an answer is a
new value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.events import PromptProgress, ReplyDone
from dlp_local.core.option_defaults import OptionDefault
from dlp_local.core.values import AdapterInfo, FinishReason, Route
from dlp_local.history.model import StoredTurn

TurnState = Literal["queued", "processing", "generating", "done", "failed"]
NO_OPTIONS = ChatOptions()
Phase = Literal["loading", "failed", "ready", "processing", "generating", "updating"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the user and what came of it so far; `id` is its number in the history."""

    id: int
    text: str
    state: TurnState
    answer: str = ""
    reasoning: str = ""
    """What the model thought before it answered."""

    route: Route | None = None
    trimmed: int = 0
    """So many of the oldest turns were left out of this answer; 0 also where that was said before."""

    done: ReplyDone | None = None
    error: str = ""
    alternative: tuple[int, int] = (1, 1)
    """Which of how many alternatives."""

    @classmethod
    def from_stored(cls, stored: StoredTurn, alternative: tuple[int, int], trimmed: int = 0) -> Turn:
        """A turn as the history has it."""
        return cls(
            id=stored.id,
            text=stored.text,
            state="queued" if stored.state == "sent" else stored.state,
            answer=stored.answer,
            reasoning=stored.done.reasoning if stored.done else "",
            route=known_route(stored.done),
            trimmed=trimmed,
            done=stored.done,
            error=stored.error,
            alternative=alternative,
        )

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended; none while it has not."""
        return self.done.finish_reason if self.done else None

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ("done", "failed")


def known_route(done: ReplyDone | None) -> Route | None:
    """The route of a reply; none of one that was stopped before a server had told it."""
    if done is None:
        return None
    route = done.route
    is_told = done.answer or done.reasoning or route.probabilities or route.mix.weights or route.parts
    return route if is_told or done.finish_reason != "cancelled" else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where answers are computed, by its address; neither is set where that is the program itself."""

    server: str = ""
    """A `dlp-local serve` that answers in place of a pack here."""

    engine: str = ""
    """Another program's server, at engine.url, that computes for the pack here."""

    @property
    def failure(self) -> str:
        """What is said of it where no messages can be answered."""
        return "the server cannot be used" if self.server else "the pack could not be loaded"


HERE = Place()


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the session; the pack's own facts are empty until it is loaded. Context is in tokens."""

    phase: Phase = "loading"
    place: Place = HERE
    name: str = ""
    pack_folder: Path | None = None
    greeting: str = ""
    examples: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    """Those that messages may go to."""

    pack_adapters: tuple[AdapterInfo, ...] = ()
    """All of them."""

    read_only_reason: str = ""
    """Why the pack's adapters cannot be changed; nothing where they can."""

    activity: str = ""
    """What is being done to the pack: `adding sql`."""

    training: str = ""
    """The adapter that is trained beside the conversation, and how far that is: `sql 34 %, 2 min left`."""

    reading: PromptProgress | None = None
    """How far the open conversation's history is computed, while it is."""

    context_used: int = 0
    context_size: int = 0
    option_defaults: Mapping[str, OptionDefault] = field(default_factory=dict)
    """What holds for the options that a conversation leaves alone, by name."""

    options: ChatOptions = NO_OPTIONS
    """What the open conversation sets for itself."""

    speed: float = 0.0
    """Tokens a second of the last answer."""

    error: str = ""
    exit_code: int = 0
    notice: str = ""
    """What the user must know: that the history was damaged and a new one begun, say."""

    is_unsaved: bool = False
    """Whether the conversation is kept in memory alone."""


@dataclass(frozen=True, slots=True)
class TurnRouting:
    """How a turn was routed, and what the user said of it."""

    turn: Turn
    router: Mapping[str, float]
    """The router's probabilities where the mix was given by hand; none where there is no router yet."""

    corrections: Mapping[str, str]
    """The adapter, or `base`, to which the user said that a text belongs."""

    adapters: tuple[str, ...]
    """Those that messages may go to."""

    options: ChatOptions
    """What the conversation sets for itself."""

    def probabilities(self, route: Route) -> Mapping[str, float]:
        """The router's of the message or a part of it, also where the mix was given by hand."""
        return route.probabilities or self.router

    def right(self, route: Route | None) -> str:
        """The adapter to which the user said that the message or a part of it belongs; empty where none was said."""
        return self.corrections.get(route.text if route else self.turn.text, "")

    def marks(self, adapter: str, route: Route | None) -> list[str]:
        """What the user said of an adapter, in a word each."""
        said = {"vetoed": adapter in self.options.vetoed, "corrected": adapter == self.right(route)}
        return [mark for mark, is_said in said.items() if is_said]


@dataclass(frozen=True, slots=True)
class ConversationView:
    """The conversation as the window shows it; without a `number` nothing of it is stored yet."""

    number: int | None
    title: str
    turns: tuple[Turn, ...]
    options: ChatOptions
