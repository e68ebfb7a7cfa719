"""What the fields of a pydantic model say of themselves in plain words: for flags, forms and refusals."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dlp_local.core.text import did_you_mean

_NOUNS: Mapping[Any, str] = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}
_KEY = "[key]"
"""How pydantic ends the path of a name within a table."""

_LONGEST_VALUE = 64

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A value that a model refused: where it stands (without places in a list), and why, without its full stop."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class _Values:
    """What values may stand somewhere: their type, without None and without what is annotated to it, and its bounds."""

    kind: Any
    constraints: tuple[Any, ...] = ()


def value_type(field: FieldInfo) -> Any:
    """The type of a field's values, without the None that stands for one that is not set."""
    return _of_field(field).kind


def item_type(field: FieldInfo) -> Any:
    """The type of the values of a field that is a list; None for another field."""
    item = _item(_of_field(field))
    return item.kind if item else None


def limits(field: FieldInfo) -> str:
    """The range of a field's numbers: `0 to 5`, `over 0, up to 1`, `1 or more`; empty where it has no bounds."""
    return _limits(_of_field(field))


def help_text(field: FieldInfo) -> str:
    """What a field is for, as a sentence, with the range of its numbers."""
    text = field.description or ""
    return f"{text[:1].upper()}{text[1:]}{f' ({limits(field)})' if limits(field) else ''}."


def expected(field: FieldInfo) -> str:
    """What may be given for a field: `a number, 0 to 5`, `'turn' or 'context'`, `a list of text`."""
    return _expected(_of_field(field))


def expected_at(model: type[BaseModel], path: Path) -> str:
    """As `expected`, for what stands at a path within a model; empty where nothing does."""
    values = _find(model, path)[1]
    return _expected(values) if values else ""


def explain(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """What is wrong with the values that a model refused, each once."""
    return list(dict.fromkeys(_problem_of(dict(problem), model) for problem in error.errors()))


def problems(error: ValidationError, model: type[BaseModel], where: Callable[[Path], str] = lambda path: "") -> str:
    """As `explain`, in one sentence without its full stop; `where` says of a value, by its path, where it was given."""
    reasons = [(_named(problem.path, where), problem.reason) for problem in explain(error, model)]
    return "; ".join(": ".join(filter(None, reason)) for reason in reasons)


def _named(path: Path, where: Callable[[Path], str]) -> str:
    place = where(path)
    return ".".join(path) + (f" ({place})" if place else "")


def _problem_of(problem: Mapping[str, Any], model: type[BaseModel]) -> Problem:
    """One of pydantic's errors of a model, in plain words."""
    path, values, group = _find(model, problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = did_you_mean(path[-1], group.model_fields if group else ())
        return Problem(path, f"there is nothing of that name.{near}".rstrip("."))
    if values is None or problem["type"] == "value_error":
        return Problem(path, str(problem["msg"]).removeprefix("Value error, "))
    if problem["type"] == "missing":
        return Problem(path, f"is missing (give {_expected(values)})")
    if problem["type"] in ("too_long", "string_too_long"):
        return Problem(path, f"is longer than {problem['ctx']['max_length']}")
    return Problem(path, f"{_shown(problem['input'])} cannot be used (give {_expected(values)})")


def _find(model: type[BaseModel], place: Iterable[str | int]) -> tuple[Path, _Values | None, type[BaseModel] | None]:
    """Where a value stands, what may stand there (None: nothing), and the group that has it as a field."""
    path: list[str] = []
    values: _Values | None = _Values(model)
    group: type[BaseModel] | None = None
    around = _Values(model)
    for part in place:
        if values is None or get_origin(values.kind) is Union:  # pydantic tells each type of those that may be given
            break
        if part == _KEY:
            values = _parsed(get_args(around.kind)[0])
            break
        if isinstance(part, str):
            path.append(part)
        group = values.kind if _is_group(values.kind) else None
        around, values = values, _inside(values, part)
    return tuple(path), values, group


def _inside(values: _Values, part: str | int) -> _Values | None:
    """What may stand in a table under a name, or in a list."""
    if _is_group(values.kind):
        field = values.kind.model_fields.get(str(part))
        return _of_field(field) if field else None
    if get_origin(values.kind) in (dict, Mapping):
        return _parsed(get_args(values.kind)[1])
    return _item(values)


def _item(values: _Values) -> _Values | None:
    return _parsed(get_args(values.kind)[0]) if get_origin(values.kind) in (tuple, list) else None


def _of_field(field: FieldInfo) -> _Values:
    return _parsed(field.annotation, field.metadata)


def _parsed(annotation: Any, constraints: Iterable[Any] = ()) -> _Values:
    all_of_them = [*constraints]
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *further = get_args(annotation)
            all_of_them += further
        elif get_origin(annotation) in (Union, types.UnionType):
            kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
            if len(kinds) > 1:
                return _Values(Union[tuple(kinds)])  # noqa: UP007 (made of a list)
            annotation = kinds[0]
        else:
            return _Values(annotation, tuple(_flat(all_of_them)))


def _flat(constraints: Iterable[Any]) -> Iterator[Any]:
    for constraint in constraints:
        yield from constraint.metadata if isinstance(constraint, FieldInfo) else [constraint]


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _expected(values: _Values) -> str:
    kind = values.kind
    if get_origin(kind) is Union:
        return " or ".join(_expected(_parsed(choice)) for choice in get_args(kind))
    if get_origin(kind) is Literal:
        return " or ".join(repr(choice) for choice in get_args(kind))
    if item := _item(values):
        return f"a list of {_NOUNS.get(item.kind, 'values')}"
    if kind is str and any(getattr(constraint, "min_length", 0) for constraint in values.constraints):
        return "text that is not empty"
    return ", ".join(filter(None, (_NOUNS.get(kind, "a table of values"), _limits(values))))


def _limits(values: _Values) -> str:
    low = high = ""
    is_open = False
    for constraint in values.constraints:
        match constraint:
            case annotated_types.Ge(ge):
                low = _number(ge)
            case annotated_types.Gt(gt):
                low, is_open = _number(gt), True
            case annotated_types.Le(le):
                high = _number(le)
            case annotated_types.Lt(lt):
                high = f"less than {_number(lt)}"
    if low and high:
        return f"over {low}, up to {high}" if is_open else f"{low} to {high}"
    if low:
        return f"over {low}" if is_open else f"{low} or more"
    return f"up to {high}" if high else ""


def _number(bound: Any) -> str:
    return f"{bound:.12g}"


def _shown(value: Any) -> str:
    """A value as a person wrote it: TOML and JSON have no `True`, no `None` and no `datetime.date(…)`."""
    if isinstance(value, date | time):
        text = value.isoformat()
    else:
        is_json = value is None or isinstance(value, bool | list | dict)
        text = json.dumps(value, ensure_ascii=False, default=str) if is_json else repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
