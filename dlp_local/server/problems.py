"""What is wrong with a request, in the words of its JSON: where it stands there, and which values may."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dlp_local.core.fields import expected, value_type
from dlp_local.core.text import did_you_mean, ended
from dlp_local.server.errors import ApiError

LONGEST_VALUE = 64
"""Characters that are told of a value."""

_CODES = {"missing": "missing_required_parameter", "extra_forbidden": "unknown_parameter"}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands, as `input[2].role`, and what may stand there."""

    path: str
    field: FieldInfo
    is_meant: bool = True
    """Whether the value is of the type that pydantic speaks of, where several may stand there."""


def first_problem(
    error: ValidationError, model: type[BaseModel], fields: Mapping[str, Any], names: Mapping[str, str]
) -> ApiError:
    """The first thing that a model refused of a request's fields; `names`: what the request calls some of them."""
    found = [(_place(problem["loc"], model, fields), problem) for problem in error.errors(include_url=False)]
    # What lacks something may be of another kind altogether, which is said then.
    place, problem = min(found, key=lambda one: (not one[0].is_meant, one[1]["type"] == "missing"))
    path = names.get(place.path, place.path)
    return ApiError(
        400, f"{path}: {ended(_reason(problem, place.field))}", param=path,
        code=_CODES.get(problem["type"], "invalid_value"),
    )  # fmt: skip


def _reason(problem: Mapping[str, Any], field: FieldInfo) -> str:
    if problem["type"] == "extra_forbidden":
        group = value_type(field)
        near = did_you_mean(str(problem["loc"][-1]), group.model_fields) if _is_model(group) else ""
        return f"there is nothing of that name.{near}".removesuffix(".")
    if problem["type"] == "missing":
        return f"is missing (give {_wanted(field)})"
    return f"{_as_json(problem['input'])} cannot be used (give {_wanted(field)})"


def _place(loc: tuple[str | int, ...], model: type[BaseModel], fields: Mapping[str, Any]) -> _Place:
    """Where pydantic's path leads, without what it puts in for each type that may stand somewhere."""
    field, path, value = FieldInfo.from_annotation(model), "", fields
    for number, part in enumerate(loc):
        kind = value_type(field)
        if get_origin(kind) is Union:
            choice = next((one for one in get_args(kind) if _is_name(part, one)), None)
            if choice is None or not _is_of(value, choice):
                return _Place(path, field, is_meant=False)
            if number == len(loc) - 1:
                return _Place(path, field)
            field = FieldInfo.from_annotation(choice)
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
        inside = _inside(kind, part)
        if inside is None:
            return _Place(path, field)
        field, value = inside, _value_at(value, part)
    return _Place(path, field)


def _inside(kind: Any, part: str | int) -> FieldInfo | None:
    """What may stand under a name, or in a list; None for a name that there is not."""
    if _is_model(kind):
        return next((one for name, one in kind.model_fields.items() if part in (name, one.alias)), None)
    return FieldInfo.from_annotation(get_args(kind)[-1])


def _value_at(value: Any, part: str | int) -> Any:
    try:
        return value[part]
    except (LookupError, TypeError):
        return None


def _is_name(part: str | int, kind: Any) -> bool:
    """Whether it is pydantic's name of one of several types."""
    if get_origin(kind) is Literal:
        return str(part).startswith("literal[")
    name: str = kind.__name__
    return str(part).startswith(f"{name}[") if get_origin(kind) else part == name


def _is_of(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str)
    return isinstance(value, dict if _is_model(kind) else get_origin(kind) or kind)


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _wanted(field: FieldInfo) -> str:
    """What may be given: `a number, 0 to 5`, `"turn" or "context"`, `text or a list of text`."""
    kind = value_type(field)
    if get_origin(kind) is Union:
        return " or ".join(_wanted(FieldInfo.from_annotation(one)) for one in get_args(kind))
    if get_origin(kind) is Literal:
        return " or ".join(map(_as_json, get_args(kind)))
    if get_origin(kind) is dict or _is_model(kind):
        return "an object"
    return expected(field)


def _as_json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
