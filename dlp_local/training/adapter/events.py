"""What a training is asked for, and what it tells while it runs; each has a JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from dlp_local.core.text import counted
from dlp_local.training.adapter.choices import Choices


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What is to be trained: the rows of each adapter, into the pack in a folder.

    `held_out`: rows to judge by, in place of a part of the rows; for one adapter alone. `force`: put in place whatever
    comes out. `restart`: leave what a stopped training reached. `finish`: train no more, and judge what it reached.
    `lessons`: the rows are answers that were mended, which are not kept beside the adapter's own, and what the router
    knows it by stays; of the adapter's own rows, in `replay`, some are then trained on, too.
    """

    pack: Path
    rows: Mapping[str, Path]
    choices: Choices = field(default_factory=Choices)
    held_out: Path | None = None
    system: str | None = None
    description: str | None = None
    force: bool = False
    restart: bool = False
    finish: bool = False
    lessons: bool = False
    replay: Path | None = None


@dataclass(frozen=True, slots=True)
class TaskRows:
    """The rows of one adapter: how many to train on and held out, and what was left out and why."""

    train: int
    held_out: int
    tokens: int
    duplicates: int
    leaked: int
    ambiguous: int
    too_long: int

    @property
    def remarks(self) -> list[str]:
        """What there is to say of rows that do not count as they were given."""
        told = (
            (self.duplicates, "written twice, counted once"),
            (self.leaked, "to train on that are held out, too, left out"),
            (self.ambiguous, "whose message has another answer in another row"),
            (self.too_long, "too long, left out"),
        )
        return [f"{counted(count, 'row')} {what}" for count, what in told if count]


@dataclass(frozen=True, slots=True)
class Prepared:
    """First event: what will be trained, with what, and how much memory that takes and is free, in bytes.

    `seconds`: about how long all of it takes on this machine, answering held-out rows included; 0 where nobody knows.
    `resumed`: it goes on from where the same training was stopped. `dropped`: what a training of the same adapters with
    other rows or choices had reached is given up.
    """

    tasks: Mapping[str, TaskRows]
    choices: Choices
    device: str
    memory: int
    free_memory: int
    resumed: bool
    dropped: bool
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Something beside the training itself is being done: how much of it, from 0 to 1."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class FitProgress:
    """How far a training is: mean losses a token of the last batches, and of held-out rows, the last and the best.

    There is no `loss` before the first step.
    """

    step: int
    of_steps: int
    epoch: int
    of_epochs: int
    loss: float | None
    held_out_loss: float
    best_loss: float
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Score:
    """Answers to held-out rows: the shares, from 0 to 1, that are exactly right, and chrF (Popović 2015) in them."""

    rows: int
    exact: float
    chrf: float

    @property
    def value(self) -> float:
        """What is compared: the mean of the two, so that wording counts where no answer is the only right one."""
        return (self.exact + self.chrf) / 2


@dataclass(frozen=True, slots=True)
class RoutingEffect:
    """What a new adapter changes in routing.

    `own`: of its held-out messages the share that comes to it. `judged`: so many messages of others were looked at, and
    `taken` are those that it would take: owner, and text where there is one; `too_many` of them are more than it may.
    `background`: of messages that are nobody's, the share that comes to it.
    """

    own: float
    judged: int
    taken: tuple[tuple[str, str], ...]
    too_many: int
    background: float


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What came out for one adapter: scores by what answered, routing, and why it is not in place, if it is not.

    `replaced`: it is in the place of one that is kept for `adapters rollback`.
    """

    scores: Mapping[str, Score]
    routing: RoutingEffect
    refused: str
    in_place: bool
    replaced: bool


@dataclass(frozen=True, slots=True)
class Trained:
    """Last event: the results by adapter. `ended`: `whole`, or `early` where held-out rows no longer gained."""

    results: Mapping[str, TaskResult]
    held_out_losses: tuple[float, ...]
    steps: int
    training_seconds: float
    tokens_per_second: float
    seconds: float
    ended: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Last event of a training that was cancelled: what it reached is kept, and the same request goes on from there."""

    step: int
    of_steps: int


TrainingEvent = Prepared | Stage | FitProgress | Trained | Stopped
_KINDS: Mapping[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind) for kind in (Prepared, Stage, FitProgress, Trained, Stopped)
}
_REQUEST = TypeAdapter(TrainingRequest)


def event_json(event: TrainingEvent) -> dict[str, Any]:
    """An event as JSON has it: its fields, and its name as `event`."""
    name = type(event).__name__
    return {"event": name, **_KINDS[name].dump_python(event, mode="json")}


def event_of_json(values: Mapping[str, Any]) -> TrainingEvent:
    """An event out of what `event_json` gave."""
    fields = dict(values)
    event: TrainingEvent = _KINDS[fields.pop("event")].validate_python(fields, strict=False)
    return event


def request_json(request: TrainingRequest) -> dict[str, Any]:
    """A request as JSON has it."""
    return dict(_REQUEST.dump_python(request, mode="json"))


def request_of_json(values: Mapping[str, Any]) -> TrainingRequest:
    """A request out of what `request_json` gave."""
    return _REQUEST.validate_python(values, strict=False)
