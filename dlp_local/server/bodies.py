"""The body of a request: bounded, JSON, and of the fields that its model declares."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from starlette.requests import ClientDisconnect, Request

from dlp_local.core.json_text import parse_json
from dlp_local.core.text import did_you_mean, is_unicode
from dlp_local.server.errors import ApiError, ClientGoneError, blamed_on
from dlp_local.server.problems import first_problem

BODY, MEDIA_TYPE = "invalid_body", "unsupported_media_type"
"""Codes of errors that are of no field."""

MOST_DEPTH = 64
"""Arrays and objects in each other."""

MOST_NAMED, LONGEST_NAME = 32, 64
"""Fields that are named in a reply as passed over, and characters of each."""

MOST_VALUES = 100_000
"""In all arrays and objects: to check them takes microseconds each, in which nobody else is heard."""


class RequestBody(BaseModel):
    """The fields of a request. A null is a field that is not there."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, fields: Any) -> Any:
        return _not_null(fields) if isinstance(fields, dict) else fields


class OpenBody(RequestBody):
    """Fields beside these are passed over, and named in the reply: they might say something of the answer."""

    model_config = ConfigDict(extra="allow")

    harmless: ClassVar[frozenset[str]] = frozenset()
    """Other fields that say nothing of it, and need not be named."""

    def passed_over(self) -> list[str]:
        """The fields that are to be named."""
        return [name for name in self.model_extra or () if name not in self.harmless]


Body = TypeVar("Body", bound=RequestBody)


@dataclass(frozen=True, slots=True)
class Parsed(Generic[Body]):
    """A request, and those of its fields that change nothing here although they might elsewhere."""

    body: Body
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unused:
    """Fields that are no part of a request's model, and are not refused.

    `harmless` ones could change no answer anywhere; `ignored` ones could, and are named in the reply. One within
    others is written as `text.verbosity`, or `messages[].name` for that of any element.
    """

    harmless: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()


HARMLESS = frozenset(
    {
        *("user", "safety_identifier", "metadata", "store", "service_tier", "prediction"),
        *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
        *("cache_prompt", "id_slot", "timings_per_token", "return_progress", "keep_alive", "session_id", "chat_id"),
    }
)
"""What clients of OpenAI's and of other servers send, and is no field here, at every endpoint."""


def check_head(request: Request, kind: str, kind_name: str, most_bytes: int) -> None:
    """Raises `ApiError` where the headers of a request say that its body is of another kind, compressed or too long."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != kind:
        raise ApiError(415, f"the body must be {kind_name}. Send the header Content-Type: {kind}.", code=MEDIA_TYPE)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ApiError(415, "the body is compressed. Leave Content-Encoding out.", code=MEDIA_TYPE)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most_bytes:
        raise too_long(most_bytes)


def too_long(most_bytes: int) -> ApiError:
    """The refusal of a body that does not end in time."""
    return ApiError(413, f"the body is longer than {most_bytes} bytes. Send less.", code="request_too_large")


async def read_body(request: Request, most_bytes: int) -> bytes:
    """The whole body; raises `ApiError` for one that is too long or no JSON, and `ClientGoneError`."""
    check_head(request, "application/json", "JSON", most_bytes)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most_bytes:
                raise too_long(most_bytes)
    except ClientDisconnect:
        raise ClientGoneError from None
    return bytes(body)


def parse_body(body: bytes, model: type[Body], unused: Unused, aliases: Mapping[str, str] = {}) -> Parsed[Body]:
    """The request in a body; raises `ApiError` that names the first field that is wrong."""
    try:
        with blamed_on(None, BODY):
            text = body.removeprefix(codecs.BOM_UTF8).decode("utf-8")
            fields = parse_json(text, "the body", "Send one JSON object.", unique_keys=True)
    except UnicodeDecodeError:
        raise ApiError(400, "the body is not UTF-8. Send one JSON object in UTF-8.", code=BODY) from None
    if not isinstance(fields, dict):
        raise ApiError(400, "the body is no JSON object. Send one.", code=BODY)
    _check_size(fields)
    if b"\\u" in body and (place := _half_character(fields)) is not None:
        place = place.removeprefix(".")
        raise ApiError(
            400, f"{place or 'the body'}: is no valid Unicode (half a surrogate pair).", param=place or None,
            code="invalid_value",
        )  # fmt: skip
    fields = _not_null(fields)
    renamed = _rename(fields, aliases)
    unknown = [name for name in fields if name not in model.model_fields]
    for name in unknown:
        if name not in unused.harmless | unused.ignored:
            raise _unknown(name, model)
        del fields[name]
    try:
        parsed = model.model_validate(fields)
    except ValidationError as error:
        raise first_problem(error, model, fields, renamed) from None
    inner = (path for path in sorted(unused.ignored) if "." in path and _is_given(fields, path))
    named = (name for name in unknown if name in unused.ignored)
    return Parsed(parsed, tuple(islice(dict.fromkeys((*named, *inner, *_passed_over(parsed))), MOST_NAMED)))


def _passed_over(value: Any, place: str = "") -> Iterator[str]:
    """The places of fields that no model knows, as `messages[].images`."""
    if isinstance(value, OpenBody):
        yield from (f"{place}.{name[:LONGEST_NAME]}" for name in value.passed_over())
    if isinstance(value, RequestBody):
        for name in type(value).model_fields:
            yield from _passed_over(getattr(value, name), f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for element in value:
            yield from _passed_over(element, f"{place}[]")


def _rename(fields: dict[str, Any], aliases: Mapping[str, str]) -> dict[str, str]:
    """Gives fields their own names, and returns for each how it was called; raises `ApiError` where two differ."""
    renamed = {}
    for alias, name in aliases.items():
        if alias in fields:
            if fields.setdefault(name, fields[alias]) != fields[alias]:
                raise ApiError(
                    400, f"{alias} and {name} are the same, and differ. Leave one of them out.", param=alias,
                    code="invalid_value",
                )  # fmt: skip
            del fields[alias]
            renamed[name] = alias
    return renamed


def _is_given(fields: Any, path: str) -> bool:
    """Whether a field within others says something."""
    first, _, rest = path.partition(".")
    inner = fields.get(first.removesuffix("[]")) if isinstance(fields, dict) else None
    if not rest:
        return inner is not None
    elements = inner if first.endswith("[]") and isinstance(inner, list) else [inner]
    return any(_is_given(element, rest) for element in elements)


def _unknown(name: str, model: type[BaseModel]) -> ApiError:
    shown = name if len(name) <= 64 else f"{name[:64]}…"
    near = did_you_mean(shown, model.model_fields)
    return ApiError(
        400, f"'{shown}' is not known here and might change the answer.{near or ' Leave it out.'}",
        param=shown, code="unknown_parameter",
    )  # fmt: skip


def _not_null(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _check_size(fields: dict[str, Any]) -> None:
    """Raises `ApiError` where arrays and objects stand too deep in each other, or hold too much."""
    depth, values, level = 0, 0, [fields]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
        values += len(level)
        if depth > MOST_DEPTH:
            message = f"the body nests more than {MOST_DEPTH} arrays and objects. Send a flatter one."
            raise ApiError(400, message, code=BODY)
        if values > MOST_VALUES:
            raise ApiError(400, f"the body holds more than {MOST_VALUES} values. Send fewer.", code=BODY)


def _half_character(value: Any, place: str = "") -> str | None:
    """Where a text, or a name within an object, is no valid Unicode; None for nowhere."""
    if isinstance(value, str):
        return None if is_unicode(value) else place
    if isinstance(value, list):
        places = (_half_character(inner, f"{place}[{index}]") for index, inner in enumerate(value))
    elif isinstance(value, dict):
        if not all(map(is_unicode, value)):
            return place
        places = (_half_character(inner, f"{place}.{name}") for name, inner in value.items())
    else:
        return None
    return next((broken for broken in places if broken is not None), None)
