"""A flag for each sampling option, made of the fields of `Sampling`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, Optional, get_args, get_origin, get_type_hints

import typer
from pydantic.fields import FieldInfo

from dlp_local.core.fields import help_text, item_type, value_type
from dlp_local.core.settings import BASE_DEFAULTS, Sampling

PANEL = "Sampling"
"""The heading of these flags in `--help`."""


def with_sampling_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command a flag for each field of `Sampling`, in the place of its parameter `sampling`.

    The command is called with a dictionary there: of the options that were given, by their names,
    as text.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name == "sampling":
            parameters += [_parameter(name, field) for name, field in Sampling.model_fields.items()]
        else:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))

    @functools.wraps(command)
    def with_flags(**values: Any) -> None:
        own = {name: values.pop(name) for name in Sampling.model_fields}
        command(**values, sampling={name: value for name, value in own.items() if value is not None})

    with_flags.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_flags.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_flags


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """The flag of a field. Values are text here, which `ChatOptions.checked` reads: so all are refused in one way."""
    kind, item, flag = value_type(field), item_type(field), f"--{name.replace('_', '-')}"
    annotation: Any = bool if kind is bool else list[str] if item else str
    option = typer.Option(
        f"{flag}/--no-{flag.removeprefix('--')}" if kind is bool else flag,
        help=help_text(field) + (" May be repeated." if item else ""),
        metavar=None if kind is bool else "|".join(get_args(kind)) if get_origin(kind) is Literal else _metavar(field),
        show_default=_default(name, field),
        rich_help_panel=PANEL,
    )
    annotation = Annotated[Optional[annotation], option]  # noqa: UP045
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)


def _default(name: str, field: FieldInfo) -> str | bool:
    """The default as it is told: `0.0; base: 0.7` where base has one of its own, nothing where there is none."""
    if field.default in (None, ()):
        return False
    return f"{field.default}; base: {BASE_DEFAULTS[name]}" if name in BASE_DEFAULTS else str(field.default)


def _metavar(field: FieldInfo) -> str:
    return f"<{(item_type(field) or value_type(field)).__name__}>"
