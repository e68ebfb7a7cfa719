"""The frozen values that the parts of the program hand to each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from dlp_local.core.errors import InputError

BASE = "base"
"""The router's own class `no adapter fits`, and the name of the mix with no adapter in it."""

WEIGHT_STEPS = 32
"""Weights of a mix are multiples of 1/32."""

Role = Literal["system", "user", "assistant", "tool"]
Weights = tuple[tuple[str, float], ...]
"""Adapter → weight, sorted by name; what is kept by mix is kept under this."""

Scope = Literal["turn", "context"]
FinishReason = Literal["stop", "length", "loop", "cancelled", "error"]
"""`loop`: it repeated itself over and over, and was ended for that."""


BLANK_LINE = "\n\n"
"""Between messages that go as one."""


def most_probable(probabilities: Mapping[str, float]) -> str:
    """The label of the greatest probability; of equal ones the first."""
    return max(probabilities, key=probabilities.__getitem__)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that the model asks for; `arguments` is a JSON object, as text. The client knows it by its `id`,
    which the server gives it.
    """

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    The assistant's may ask for `tool_calls`. One of the role `tool` is the result of the call `tool_call_id`.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """One GGUF LoRA on disk, the scale that its weight in a mix is multiplied by, and what of a prompt it is on for.

    `turn`: from the last user's message on, or from its invocation tokens where it names some. `context`: the whole
    prompt; that costs the computation of the history under it.
    """

    name: str
    path: Path
    scale: float = 1.0
    scope: Scope = "turn"


@dataclass(frozen=True, slots=True)
class AdapterChange:
    """What a pack is to say of an adapter; None leaves a value as it is, or at its default."""

    description: str | None = None
    scale: float | None = None
    scope: Scope | None = None
    enabled: bool | None = None
    license: str | None = None
    attribution: str | None = None
    examples: Path | None = None
    """A file of messages that the adapter is for, one a line or JSONL; it is copied."""

    detector: Path | None = None
    """What tells its messages from others, made of its examples (`dlp_local.routing.detector`); it is copied."""


UNCHANGED = AdapterChange()


@dataclass(frozen=True, slots=True)
class AdapterInfo:
    """What a pack says of one of its adapters, for people to read; one that is not `enabled` is not loaded."""

    name: str
    description: str = ""
    enabled: bool = True


def spelled(weights: Iterable[tuple[str, float]]) -> str:
    """Names and weights as a person writes them, to the last digit: `sql=0.71875,shell=0.25`; `base` where none are."""
    return ",".join(f"{name}={weight:g}" for name, weight in weights) or BASE


@dataclass(frozen=True, slots=True)
class Mix:
    """Adapter → weight, sorted by name; weights are multiples of 1/32, sum to ≤ 1, and the rest is `base`."""

    weights: Weights = ()

    @classmethod
    def of(cls, weights: Mapping[str, float]) -> Mix:
        """Builds a mix from any weights ≥ 0 with a sum ≤ 1; `base` and weights under 1/32 are left out.

        Raises `InputError` for a weight that is negative or not a number, and for a sum over 1.
        """
        for name, weight in weights.items():
            if not math.isfinite(weight) or weight < 0:
                raise InputError(f"mix: the weight of '{name}' is {weight}; give a number from 0 to 1.")
        total = sum(weights.values())
        if total > 1 + 1e-6:
            raise InputError(f"mix: the weights add up to {total:.3g}; they may add up to 1 at most.")
        steps = _round_steps({n: w * WEIGHT_STEPS for n, w in sorted(weights.items()) if n != BASE})
        return cls(tuple((name, count / WEIGHT_STEPS) for name, count in steps.items() if count))

    @classmethod
    def by_hand(cls, weights: Mapping[str, float]) -> Mix:
        """As `of`, for weights that a person gave; raises `InputError` for one that is too small to count, too."""
        mix = cls.of(weights)
        counted = dict(mix.weights)
        if lost := next((name for name, weight in weights.items() if weight and name not in (*counted, BASE)), None):
            raise InputError(
                f"mix: the weight of '{lost}' is {weights[lost]:g}, and the least that counts is 1/{WEIGHT_STEPS} "
                f"({1 / WEIGHT_STEPS:g}). Give it that, or leave it out."
            )
        return mix

    @classmethod
    def parse(cls, text: str) -> Mix:
        """Reads `sql=0.7,shell=0.3`, `sql` (weight 1) or `base`; raises `InputError` for anything else."""
        weights: dict[str, float] = {}
        for part in text.split(","):
            name, equals, value = part.partition("=")
            name = name.strip()
            try:
                weight = float(value) if equals else 1.0
            except ValueError:
                name = ""
            if not name or name in weights:
                raise InputError(f"mix: cannot read '{text}'; write adapters and weights as sql=0.7,shell=0.3 or base.")
            weights[name] = weight
        return cls.by_hand(weights)

    @property
    def spelled(self) -> str:
        """As `parse` reads it, to the last digit: `sql=0.71875,shell=0.25`, or `base`."""
        return spelled(self.weights)

    @property
    def base(self) -> float:
        """The weight that no adapter gets."""
        return 1.0 - sum(weight for _, weight in self.weights)

    @property
    def is_mostly_base(self) -> bool:
        """Whether the backbone has more of it than all adapters, and answers as it does alone."""
        return self.base > 0.5

    def as_dict(self) -> dict[str, float]:
        """Every weight by name, `base` included where it has any; they sum to 1."""
        return dict(self.weights) | ({BASE: self.base} if self.base > 0 else {})

    def __str__(self) -> str:
        shares = sorted(self.as_dict().items(), key=lambda item: -item[1])
        return " · ".join(f"{name} {weight:.2f}" for name, weight in shares)


def _round_steps(steps: dict[str, float]) -> dict[str, int]:
    """Rounds each number of steps to the nearest; where the sum then passes the whole, the largest give way."""
    rounded = {name: 0 if value < 1 - 1e-9 else round(value) for name, value in steps.items()}
    while sum(rounded.values()) > WEIGHT_STEPS:
        rounded[max(rounded, key=lambda name: rounded[name] - steps[name])] -= 1
    return rounded


@dataclass(frozen=True, slots=True)
class Route:
    """What the router decided about a message: its probabilities, the mix made of them, and what that cost.

    A message of several tasks has `parts`, each with its own text and route, which are answered instead of the whole;
    the times are those of all of them.
    """

    text: str
    probabilities: Mapping[str, float]
    mix: Mix
    embed_ms: float = 0.0
    route_ms: float = 0.0
    parts: tuple[Route, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", MappingProxyType(dict(self.probabilities)))

    @property
    def total_ms(self) -> float:
        """Milliseconds from the text to the mix."""
        return self.embed_ms + self.route_ms

    @property
    def carried(self) -> Mapping[str, float]:
        """The probabilities that the next turn may inherit: of a message in parts, the mean of theirs."""
        if not self.parts:
            return self.probabilities
        names = dict.fromkeys(name for part in self.parts for name in part.probabilities)
        return {name: sum(part.probabilities.get(name, 0.0) for part in self.parts) / len(self.parts) for name in names}


@dataclass(frozen=True, slots=True)
class NearestExample:
    """An example, or a corrected message, near a message: the cosine of the two."""

    adapter: str
    text: str
    cosine: float
    is_corrected: bool = False


@dataclass(frozen=True, slots=True)
class RouteExplanation:
    """Why a message is routed as it is.

    The nearest examples; its probabilities `alone` and `carried` over from the turn before (the same where there was
    none); what of them top-p `kept` and what it `cut`.
    """

    nearest: tuple[NearestExample, ...]
    alone: Mapping[str, float]
    carried: Mapping[str, float]
    kept: Mapping[str, float]
    cut: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Correction:
    """A message that went to the wrong adapter, and the right one (or `base`); `id` is its number once it is stored."""

    text: str
    wrong: Mix
    right: str
    pack: str = ""
    """The name of the pack that it was said of; empty for one of an earlier version, which holds for every pack."""

    created_at: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """An answer that the user mended, for an adapter to learn from; `id` is its number once it is stored.

    `messages`: the conversation up to the message that was answered, which is the last; with a system prompt where the
    conversation had one of its own. `pack`: the name of the pack that answered `wrong`.
    """

    adapter: str
    pack: str
    messages: tuple[Message, ...]
    wrong: str
    right: str
    created_at: str = ""
    id: int = 0
