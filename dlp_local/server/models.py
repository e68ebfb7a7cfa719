"""The models that clients may name: `auto`, `base`, the pack, its adapters, and mixes of them."""

from __future__ import annotations

from dlp_local.assistant import Assistant
from dlp_local.core.errors import InputError
from dlp_local.core.text import unknown_name
from dlp_local.core.values import BASE, Mix
from dlp_local.server.errors import ApiError
from dlp_local.server.replies.models import Model, ModelList

AUTO = "auto"
"""Each message is routed."""

ENCODER = "encoder"
"""The pack's sentence encoder, for embeddings alone."""


def mix_of_model(assistant: Assistant, model: str) -> Mix | None:
    """The mix that a model's name stands for; None for those that route each message.

    Raises `ApiError` (404) for an unknown one.
    """
    if model in assistant.adapters or model == BASE:
        return Mix.parse(model)
    if model in (AUTO, assistant.name):
        return None
    if "=" not in model and "," not in model:
        raise _not_found(assistant, model)
    try:
        mix = Mix.parse(model)
    except InputError as error:
        raise ApiError(404, f"model: {error}", param="model", code="model_not_found") from None
    check_adapters(assistant, mix)
    return mix


def check_adapters(assistant: Assistant, mix: Mix) -> None:
    """Raises `ApiError` (404) for a mix with an adapter that the pack does not have."""
    for name, _ in mix.weights:
        if name not in assistant.adapters:
            raise _not_found(assistant, name)


def _not_found(assistant: Assistant, name: str) -> ApiError:
    known = [AUTO, BASE, assistant.name, *assistant.adapters]
    shown = name if len(name) <= 64 else f"{name[:64]}…"
    return ApiError(404, unknown_name("model", shown, known), param="model", code="model_not_found")


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
    """One model; raises `ApiError` (404) for an unknown one."""
    if name == ENCODER and name not in assistant.adapters:
        return _model(assistant, name, "the sentence encoder, for embeddings", created)
    mix_of_model(assistant, name)
    for listed in model_list(assistant, created)["data"]:
        if listed["id"] == name:
            return listed
    return _model(assistant, name, "a mix of adapters", created)


def _model(assistant: Assistant, name: str, description: str, created: int) -> Model:
    return Model(
        id=name,
        object="model",
        created=created,
        owned_by="dlp-local",
        parent=BASE if name in assistant.adapters else None,
        description=description,
        max_model_len=assistant.context_size,
    )
