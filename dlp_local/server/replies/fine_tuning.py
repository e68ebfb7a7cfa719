"""Trainings, and what they tell."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict


class JobError(TypedDict):
    """Why a training did not succeed."""

    code: str
    message: str
    param: str | None


class JobHyperparameters(TypedDict):
    """What is set, and once the rows are read what was chosen by their number."""

    n_epochs: int | Literal["auto"]
    batch_size: int | Literal["auto"]
    learning_rate_multiplier: float | Literal["auto"]


class SupervisedMethod(TypedDict):
    """Learning from examples."""

    hyperparameters: JobHyperparameters


class JobMethod(TypedDict):
    """How the adapter learns."""

    type: Literal["supervised"]
    supervised: SupervisedMethod


class HeldOutScore(TypedDict):
    """Answers to held-out rows: the shares, from 0 to 1, that are exactly right, and chrF in them."""

    rows: int
    exact: float
    chrf: float


class RoutingChange(TypedDict):
    """What the adapter changes in the pack's routing.

    `own`: of its held-out messages the share that comes to it. `judged`: so many messages of others were looked at, and
    `taken` counts by adapter those that it would take. `background`: of messages that are nobody's, the share that
    comes to it.
    """

    own: float
    judged: int
    taken: dict[str, int]
    background: float


class TrainingReport(TypedDict):
    """The field `dlp_local` of a training: its choices once the rows are read, and in the end what came of it.

    `scores` are by what answered: base, the pack as it was, and the new adapter. `refused`: what is against it.
    """

    choices: dict[str, Any] | None
    scores: dict[str, HeldOutScore] | None
    routing: RoutingChange | None
    refused: str | None
    in_place: bool | None


class FineTuningJob(TypedDict):
    """A training; `fine_tuned_model` is what a request names as `model` to get the adapter."""

    id: str
    object: Literal["fine_tuning.job"]
    created_at: int
    finished_at: int | None
    estimated_finish: int | None
    status: Literal["validating_files", "queued", "running", "succeeded", "failed", "cancelled"]
    error: JobError | None
    model: str
    suffix: str
    fine_tuned_model: str | None
    organization_id: str
    training_file: str
    validation_file: str | None
    result_files: list[str]
    trained_tokens: int | None
    seed: int
    hyperparameters: JobHyperparameters
    method: JobMethod
    integrations: list[Any]
    metadata: dict[str, str] | None
    dlp_local: TrainingReport


class FineTuningJobList(TypedDict):
    """Trainings, the newest first."""

    object: Literal["list"]
    data: list[FineTuningJob]
    has_more: bool


class FineTuningEvent(TypedDict):
    """What a training told; `data` of type `metrics` has the step and its losses."""

    id: str
    object: Literal["fine_tuning.job.event"]
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, Any]


class FineTuningEventList(TypedDict):
    """What a training told, the newest first."""

    object: Literal["list"]
    data: list[FineTuningEvent]
    has_more: bool


class CheckpointList(TypedDict):
    """Adapters of single epochs: there are none, for the best epoch alone is kept."""

    object: Literal["list"]
    data: list[Any]
    first_id: None
    last_id: None
    has_more: Literal[False]
