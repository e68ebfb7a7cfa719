"""`dlp-local persona`: named system prompts, options and mixes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from dlp_local.cli import flags, terminal
from dlp_local.cli.sampling_flags import with_sampling_flags
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.text import visible
from dlp_local.history.personas import persona_name

app = typer.Typer(help="Personas: a system prompt, options and perhaps a mix under a name.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The persona's name.", autocompletion=flags.persona_names)]


@app.command("list")
def list_all() -> None:
    """All of them, with what they set."""
    with contextlib.closing(flags.stored_history()) as history:
        personas = history.personas()
    for name, persona in personas.items():
        print(visible(f"{name}: {_summary(persona)}"))
    if not personas:
        print("There is none yet. `dlp-local persona save terse --system 'Be brief.'` makes one.")


@app.command()
def show(name: NameArgument) -> None:
    """One of them, as JSON."""
    terminal.write_json(flags.stored_persona(name).model_dump(exclude_defaults=True, mode="json"))


@app.command()
@with_sampling_flags
def save(
    name: NameArgument,
    system: flags.SystemOption = None,
    mix: flags.MixOption = None,
    veto: flags.VetoOption = None,
    sampling: Mapping[str, Any] = {},
    scope: flags.ScopeOption = None,
) -> None:
    """Store a persona, in place of another one of its name."""
    name = persona_name(name)
    chosen = flags.mix_by_hand(mix, veto)
    values: dict[str, Any] = {
        "persona": name,
        "system": system,
        "scope": scope,
        "pinned": dict(chosen.weights) if chosen is not None else None,
        "vetoed": tuple(veto) if veto else None,
    } | dict(sampling)
    options = ChatOptions.checked({key: value for key, value in values.items() if value is not None})
    with contextlib.closing(flags.stored_history()) as history:
        history.set_persona(name, options)
    print(visible(f"kept: the persona '{name}': {_summary(options)}"))


@app.command()
def remove(name: NameArgument) -> None:
    """Forget a persona."""
    with contextlib.closing(flags.stored_history()) as history:
        name = flags.persona_of(name, history.personas())
        history.set_persona(name, None)
    print(visible(f"forgotten: the persona '{name}'"))


def _summary(options: ChatOptions) -> str:
    own = options.model_dump(exclude_defaults=True, exclude={"persona"}, mode="json")
    if options.mix is not None:
        own["pinned"] = options.mix.spelled
    return ", ".join(f"{key} {value}" for key, value in own.items()) or "nothing set"
