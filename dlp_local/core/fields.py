"""What the fields of a pydantic model say of themselves in plain words: for flags, forms and refusals."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dlp_local.core.text import did_you_mean

_NOUNS: Mapping[Any, str] = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}
_LONGEST_VALUE = 64


def value_type(field: FieldInfo) -> Any:
    """The type of a field's values, without the None that stands for one that is not set."""
    annotation: Any = field.annotation
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else Union[tuple(kinds)]  # noqa: UP007 (made of a list)
    return annotation


def item_type(field: FieldInfo) -> Any:
    """The type of the values of a field that is a list; None for another field."""
    kind = value_type(field)
    if get_origin(kind) not in (tuple, list):
        return None
    item = get_args(kind)[0]
    return get_args(item)[0] if get_origin(item) is Annotated else item


def limits(field: FieldInfo) -> str:
    """The range of a field's numbers: `0 to 5`, `over 0, up to 1`, `1 or more`; empty where it has no bounds."""
    low = high = ""
    is_open = False
    for constraint in field.metadata:
        match constraint:
            case annotated_types.Ge(ge):
                low = f"{ge}"
            case annotated_types.Gt(gt):
                low, is_open = f"{gt}", True
            case annotated_types.Le(le):
                high = f"{le}"
            case annotated_types.Lt(lt):
                high = f"less than {lt}"
    if low and high:
        return f"over {low}, up to {high}" if is_open else f"{low} to {high}"
    if low:
        return f"over {low}" if is_open else f"{low} or more"
    return f"up to {high}" if high else ""


def help_text(field: FieldInfo) -> str:
    """What a field is for, as a sentence, with the range of its numbers."""
    text = field.description or ""
    return f"{text[:1].upper()}{text[1:]}{f' ({limits(field)})' if limits(field) else ''}."


def expected(field: FieldInfo) -> str:
    """What may be given for a field: `a number, 0 to 5`, `'turn' or 'context'`, `a list of text`."""
    kind = value_type(field)
    if get_origin(kind) is Literal:
        return " or ".join(repr(choice) for choice in get_args(kind))
    if item := item_type(field):
        return f"a list of {_NOUNS.get(item, 'values')}"
    noun = _NOUNS.get(kind, "a table of values")
    return ", ".join(filter(None, (noun, limits(field))))


def problems(error: ValidationError, model: type[BaseModel], where: Mapping[tuple[Any, ...], str] = {}) -> list[str]:
    """What is wrong with the values that a model refused, one sentence for each without its full stop.

    `where` says of a value, by its path, where it was given.
    """
    return [_problem(dict(problem), model, where) for problem in error.errors()]


def _problem(problem: Mapping[str, Any], model: type[BaseModel], where: Mapping[tuple[Any, ...], str]) -> str:
    path = tuple(problem["loc"])
    group, field = _find(model, path)
    name = ".".join(map(str, path)) + (f" ({where[path]})" if path in where else "")
    if problem["type"] == "extra_forbidden":
        known = [".".join(map(str, (*path[:-1], other))) for other in (group.model_fields if group else ())]
        return f"{name}: there is nothing of that name.{did_you_mean('.'.join(map(str, path)), known)}".rstrip(".")
    if field is None or problem["type"] == "value_error":
        return f"{name}: {str(problem['msg']).removeprefix('Value error, ')}"
    if problem["type"] == "missing":
        return f"{name}: is missing (give {expected(field)})"
    if problem["type"] in ("too_long", "string_too_long"):
        return f"{name}: is longer than {problem['ctx']['max_length']}"
    return f"{name}: {_shown(problem['input'])} cannot be used (give {expected(field)})"


def _find(model: type[BaseModel], path: Sequence[Any]) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """The group that a path ends in, and its field there; None for each that there is not."""
    group: type[BaseModel] | None = model
    *groups, last = path or ("",)
    for name in groups:
        field = group.model_fields.get(str(name)) if group else None
        kind = value_type(field) if field else None
        if field and not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return None, field  # within a list or a table, of which the field says what may be in it
        group = kind
    return group, group.model_fields.get(str(last)) if group else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
