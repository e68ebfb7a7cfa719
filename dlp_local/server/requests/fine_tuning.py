"""`/v1/fine_tuning/jobs`: the request."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field

from dlp_local.assistant import Assistant
from dlp_local.core.names import check_name
from dlp_local.core.text import unknown_name
from dlp_local.core.values import BASE, Scope
from dlp_local.server.bodies import HARMLESS, RequestBody, Unused
from dlp_local.server.errors import ApiError, blamed_on
from dlp_local.server.models import AUTO, ENCODER, mix_of_model
from dlp_local.training.adapter.choices import (
    METHODS,
    MOST_BATCH_ROWS,
    MOST_EPOCHS,
    MOST_RANK,
    OPTIMIZERS,
    SEVERAL,
    Choices,
)

UNUSED = Unused(HARMLESS - {"metadata"})
USUAL = Choices()
SEEDS = 2**31 - 1
LONGEST_TEXT = 1000
METHODS_HERE = tuple(name for name in METHODS if name not in SEVERAL and name != "ca")
"""Those that train one adapter and need nothing but its rows."""


class Hyperparameters(RequestBody):
    """What is left to the number of rows is `auto`."""

    n_epochs: int | Literal["auto"] = Field(
        "auto", description=f"how often each row is learnt from, 1 to {MOST_EPOCHS}"
    )
    batch_size: int | Literal["auto"] = Field("auto", description=f"rows of a step, 1 to {MOST_BATCH_ROWS}")
    learning_rate_multiplier: float | Literal["auto"] = Field("auto", description="times the usual learning rate")


class Supervised(RequestBody):
    """Learning from examples."""

    hyperparameters: Hyperparameters = Hyperparameters()


class Method(RequestBody):
    """How OpenAI's API says that an adapter learns from examples; which method does it is in `dlp_local.method`."""

    type: Literal["supervised"]
    supervised: Supervised = Supervised()


class TrainingExtension(RequestBody):
    """The field `dlp_local`: what `dlp-local adapters train` can be told beside."""

    method: str = Field(USUAL.method, description=f"one of {', '.join(METHODS_HERE)}")
    optimizer: str = Field(USUAL.optimizer, description=f"one of {', '.join(OPTIMIZERS)}")
    rank: int = Field(USUAL.rank, ge=1, le=MOST_RANK)
    scope: Scope = Field(USUAL.scope, description="'turn': on from the last message on; 'context': for all")
    description: str | None = Field(None, max_length=LONGEST_TEXT, description="what the adapter does, in a few words")
    system: str | None = Field(None, description="the system prompt of rows without their own")
    force: bool = Field(False, description="put the adapter in place even if it is not better")
    restart: bool = Field(False, description="leave what a stopped training of the same rows reached")


class FineTuningRequest(RequestBody):
    """A training: which rows, and what the adapter is called."""

    training_file: str = Field(description="the id of a file of rows")
    model: str = Field(BASE, description="base, auto or the pack's name: an adapter is trained on its backbone")
    suffix: str = Field(description="the adapter's name, by which it can be asked afterwards")
    validation_file: str | None = Field(None, description="rows to judge by, in place of a part of the others")
    hyperparameters: Hyperparameters | None = Field(None, description="the same as those of the method")
    method: Method | None = None
    seed: int = Field(USUAL.seed, ge=0, le=SEEDS)
    metadata: dict[str, str] | None = Field(None, description="comes back as it is")
    dlp_local: TrainingExtension = TrainingExtension()

    def check_names(self, assistant: Assistant) -> None:
        """Raises `ApiError` for a model that nothing is trained on, and for a name that no adapter may have."""
        if self.model != BASE and mix_of_model(assistant, self.model) is not None:
            raise ApiError(
                400, f"model: an adapter is trained on the backbone. Name {BASE}, {AUTO} or {assistant.name}.",
                param="model", code="invalid_value",
            )  # fmt: skip
        with blamed_on("suffix"):
            check_name(self.suffix, "suffix")
        if self.suffix in (AUTO, BASE, ENCODER, assistant.name):
            raise ApiError(
                400, f"suffix: '{self.suffix}' is the name of another model here. Use another one.", param="suffix",
                code="invalid_value",
            )  # fmt: skip

    def choices(self) -> Choices:
        """What the adapter is trained with; raises `ApiError`."""
        own, place = self.own_hyperparameters()
        if self.dlp_local.method not in METHODS_HERE:
            message = f"dlp_local.method: {unknown_name('method', self.dlp_local.method[:64], METHODS_HERE)}"
            raise ApiError(400, message, param="dlp_local.method", code="invalid_value")
        with blamed_on("dlp_local.optimizer"):
            choices = Choices(
                method=self.dlp_local.method,
                optimizer=self.dlp_local.optimizer,
                rank=self.dlp_local.rank,
                scope=self.dlp_local.scope,
                seed=self.seed,
                epochs=_in_range(own.n_epochs, MOST_EPOCHS, f"{place}.n_epochs"),
                batch_rows=_in_range(own.batch_size, MOST_BATCH_ROWS, f"{place}.batch_size"),
            )
        return _with_rate(choices, own.learning_rate_multiplier, f"{place}.learning_rate_multiplier")

    def own_hyperparameters(self) -> tuple[Hyperparameters, str]:
        """What is set, and its place in the request; raises `ApiError` where it is said twice."""
        if self.method is None:
            return self.hyperparameters or Hyperparameters(), "hyperparameters"
        own = self.method.supervised.hyperparameters
        if self.hyperparameters not in (None, own):
            raise ApiError(
                400, "hyperparameters and those of method are the same, and differ. Leave one of them out.",
                param="hyperparameters", code="invalid_value",
            )  # fmt: skip
        return own, "method.supervised.hyperparameters"


def _in_range(value: int | Literal["auto"], most: int, place: str) -> int:
    """A number of rows or epochs, 0 for `auto`; raises `ApiError`."""
    if value == "auto":
        return 0
    if not 1 <= value <= most:
        raise ApiError(
            400, f'{place}: {value} cannot be used (give 1 to {most}, or "auto").', param=place, code="invalid_value"
        )
    return value


def _with_rate(choices: Choices, multiplier: float | Literal["auto"], place: str) -> Choices:
    """With the learning rate multiplied; raises `ApiError`."""
    if multiplier == "auto":
        return choices
    with blamed_on(place):
        return replace(choices, rate=choices.rate * multiplier)
