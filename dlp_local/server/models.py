"""The models that clients may name: `auto`, `base`, the pack, its adapters, and mixes of them."""

from __future__ import annotations

from collections.abc import Mapping

from dlp_local.assistant import Assistant
from dlp_local.core.errors import InputError
from dlp_local.core.text import unknown_name
from dlp_local.core.values import BASE, Mix
from dlp_local.server.errors import ApiError, blamed_on
from dlp_local.server.replies.models import Model, ModelList

LONGEST_NAME = 64
"""Characters that are told of a name that there is not."""

AUTO = "auto"
"""Each message is routed."""

ENCODER = "encoder"
"""The pack's sentence encoder, for embeddings alone."""


def mix_of_model(assistant: Assistant, model: str) -> Mix | None:
    """The mix that a model's name stands for; None for those that route each message.

    Raises `ApiError`: 404 for an unknown one, 400 for weights that are no mix's.
    """
    if model in assistant.adapters or model == BASE:
        return Mix.parse(model)
    if model in (AUTO, assistant.name):
        return None
    if "=" not in model and "," not in model:
        raise _not_found(assistant, model)
    with blamed_on("model"):
        mix = Mix.parse(model)
    for name, _ in mix.weights:
        if name not in assistant.adapters:
            raise ApiError(404, _no_adapter(assistant, name), param="model", code="model_not_found")
    return mix


def mix_of_weights(assistant: Assistant, weights: Mapping[str, float]) -> Mix:
    """The mix of weights that a client gives; raises `InputError` for those that are none of the pack's adapters."""
    for name in weights:
        if name not in (BASE, *assistant.adapters):
            raise InputError(_no_adapter(assistant, name))
    return Mix.by_hand(weights)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"


def _no_adapter(assistant: Assistant, name: str) -> str:
    return f"mix: {unknown_name('adapter', _short(name), [*assistant.adapters, BASE])}"


def _not_found(assistant: Assistant, name: str) -> ApiError:
    known = [AUTO, BASE, assistant.name, *assistant.adapters]
    return ApiError(404, unknown_name("model", _short(name), known), param="model", code="model_not_found")


def model_list(assistant: Assistant, created: int) -> ModelList:
    """All models with a name of their own; any mix of adapters is one more."""
    routing = f"each message is routed to a mix of the adapters of the pack '{assistant.name}'"
    about = {AUTO: routing, assistant.name: routing, BASE: "the backbone without any adapter"}
    about |= {info.name: info.description for info in assistant.pack_adapters if info.enabled}
    return ModelList(
        object="list",
        data=[_model(assistant, name, description, created) for name, description in about.items()],
    )


def model(assistant: Assistant, name: str, created: int) -> Model:
    """One model; raises `ApiError` for an unknown one, and for a mix that is none."""
    if name == ENCODER and name not in assistant.adapters:
        return _named(name, "the sentence encoder, for embeddings", created)
    mix_of_model(assistant, name)
    for listed in model_list(assistant, created)["data"]:
        if listed["id"] == name:
            return listed
    return _model(assistant, name, "a mix of adapters", created)


def _model(assistant: Assistant, name: str, description: str, created: int) -> Model:
    model = _named(name, description, created)
    model["parent"] = BASE if name in assistant.adapters else None
    model["max_model_len"] = assistant.context_size
    return model


def _named(name: str, description: str, created: int) -> Model:
    return Model(id=name, object="model", created=created, owned_by="dlp-local", parent=None, description=description)
