"""What requests of several endpoints have in common: the options of sampling and the extra field."""

from __future__ import annotations

from typing import Annotated, Any, Optional

from pydantic import Field, create_model, model_validator

from dlp_local.assistant import Assistant
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.earlier_answer import EarlierAnswer
from dlp_local.core.settings import SEEDS, Sampling
from dlp_local.core.text import unknown_name
from dlp_local.core.values import Mix, Scope
from dlp_local.server.bodies import RequestBody
from dlp_local.server.errors import ApiError, blamed_on
from dlp_local.server.models import mix_of_model, mix_of_weights

THOUGHT = frozenset(
    {
        *("reasoning_effort", "reasoning", "include_reasoning", "thinking", "enable_thinking", "chat_template_kwargs"),
        *("verbosity", "max_tool_calls"),
    }
)
"""Fields that ask for more or less of what cannot be asked for here."""

MOST_STOPS, LONGEST_STOP = 64, 1000

ALIASES = {"repetition_penalty": "repeat_penalty", "repeat_last_n": "repeat_last"}
"""What other servers call an option."""

_MEANINGS: dict[tuple[str, int], dict[str, int]] = {
    ("max_tokens", -1): {},
    ("max_completion_tokens", -1): {},
    ("seed", -1): {},
    ("top_k", -1): {"top_k": 0},
    ("top_p", 0): {"top_k": 1},
}
"""What some values say that other servers' clients send: none is set, take all tokens, take the best one."""

_OF_OPENAI = {"stop", "seed"}
"""Options whose values OpenAI's API takes in other forms."""


def _sampling_fields() -> type[RequestBody]:
    """A model with every option of sampling, each of which may be left to the settings."""
    fields: dict[str, Any] = {}
    for name, field in Sampling.model_fields.items():
        if name not in _OF_OPENAI:
            unset = Field(None, description=field.description)
            fields[name] = (Annotated[Optional[field.annotation], *field.metadata, unset], None)  # noqa: UP045
    return create_model("SamplingFields", __base__=RequestBody, **fields)


class Answered(RequestBody):
    """An answer that there is already."""

    text: str = Field(description="the message, or the part of one, that it answers")
    answer: str
    mix: dict[str, float] | None = Field(None, description="what it was answered under; left out: whatever")


class Extension(RequestBody):
    """The field `dlp_local` of a request: how it is routed."""

    mix: dict[str, float] | None = Field(None, description="adapters and weights instead of routing; {}: base")
    veto: list[str] = Field([], description="adapters that the router may not choose")
    split: bool | None = Field(None, description="whether several tasks are answered in parts")
    earlier_answers: list[Answered] = Field([], description="the answer is to be none of these: it is drawn anew")
    scope: Scope | None = Field(None, description="'turn': adapters from the last message on; 'context': over all")


class SamplingRequest(_sampling_fields(), RequestBody):  # type: ignore[misc]
    """A model, the options of sampling, and how the message is routed."""

    model: str = Field("auto", description="auto, base, the pack's name, an adapter, or a mix as sql=0.7,shell=0.3")
    stop: str | list[str] | None = Field(None, description="texts that end the answer; they are not part of it")
    seed: int | None = Field(None, description="the same seed gives the same answer")
    stream: bool = False
    dlp_local: Extension = Extension()

    @model_validator(mode="before")
    @classmethod
    def _as_meant(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        for (name, value), meaning in _MEANINGS.items():
            if type(fields.get(name)) in (int, float) and fields[name] == value:
                fields = {other: of_other for other, of_other in fields.items() if other != name} | meaning
        return fields

    def options(self, assistant: Assistant, choice: int, **more: Any) -> ChatOptions:
        """What the request sets for one of its choices; raises `ApiError` for what cannot be."""
        own = {name: getattr(self, name) for name in Sampling.model_fields if name not in _OF_OPENAI}
        extension = self.dlp_local
        for name in extension.veto:
            if name not in assistant.adapters:
                message = f"dlp_local.veto: {unknown_name('adapter', name[:64], assistant.adapters)}"
                raise ApiError(400, message, param="dlp_local.veto", code="invalid_value")
        if self.stop is not None:
            own["stop"] = (*assistant.settings.sampling.stop, *self._stops())
        if self.seed is not None:
            own["seed"] = (self.seed + choice) % SEEDS  # one of another size is folded into this range
        own |= {"vetoed": tuple(extension.veto), "split": extension.split, "scope": extension.scope} | more
        return ChatOptions.checked({name: value for name, value in own.items() if value is not None})

    def earlier_answers(self) -> tuple[EarlierAnswer, ...]:
        """The answers that are not to be given again; raises `ApiError` for a mix that cannot be."""
        with blamed_on("dlp_local.earlier_answers"):
            return tuple(
                EarlierAnswer(one.text, one.answer, None if one.mix is None else Mix.of(one.mix))
                for one in self.dlp_local.earlier_answers
            )

    def one_of(self, name: str, other: str) -> int | None:
        """What two fields say that are the same; raises `ApiError` where they differ."""
        given = {getattr(self, name), getattr(self, other)} - {None}
        if len(given) > 1:
            raise ApiError(400, f"{other} and {name} differ. Leave one of them out.", param=name, code="invalid_value")
        return given.pop() if given else None

    def _stops(self) -> list[str]:
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if len(stops) > MOST_STOPS:
            raise ApiError(400, f"stop: {MOST_STOPS} texts at most.", param="stop", code="invalid_value")
        if any(len(stop) > LONGEST_STOP for stop in stops):
            raise ApiError(400, f"stop: {LONGEST_STOP} characters at most.", param="stop", code="invalid_value")
        return [stop for stop in stops if stop]

    def mix(self, assistant: Assistant) -> Mix | None:
        """The mix that the request names, None where its message is to be routed; raises `ApiError`."""
        mix = mix_of_model(assistant, self.model)
        if (weights := self.dlp_local.mix) is not None:
            if mix is not None:
                raise ApiError(
                    400, "model and dlp_local.mix both name a mix. Use model auto.", param="dlp_local.mix",
                    code="invalid_value",
                )  # fmt: skip
            with blamed_on("dlp_local.mix"):
                mix = mix_of_weights(assistant, weights)
        if mix and (both := [name for name, _ in mix.weights if name in self.dlp_local.veto]):
            raise ApiError(
                400, f"'{both[0]}' is in the mix and vetoed. Leave one out.", param="dlp_local.veto",
                code="invalid_value",
            )  # fmt: skip
        return mix
