"""How the window looks and which keys it takes, as the settings have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from textual.binding import Binding, BindingType
from textual.theme import BUILTIN_THEMES, Theme

from dlp_local.core.errors import InputError
from dlp_local.core.files import make_folder, read_text, written_aside
from dlp_local.core.paths import config_file

HIGH_CONTRAST = Theme(
    name="high-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    accent="#00ffff",
    warning="#ffd700",
    error="#ff8080",
    success="#80ff80",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#202020",
    dark=True,
    variables={
        "text-muted": "#ffffff",
        "text-warning": "#ffd700",
        "text-error": "#ff8080",
        "block-cursor-background": "#ffff00",
        "block-cursor-foreground": "#000000",
    },
)
"""White on black, nothing dimmed; every pair of colours is over 7 : 1 (WCAG 2.2, 1.4.6)."""

PLAIN = "ansi-dark"
"""Sixteen colours, those of the terminal."""


def themes() -> list[str]:
    """The names of all themes."""
    return [HIGH_CONTRAST.name, *BUILTIN_THEMES]


def theme(wanted: str) -> str:
    """The theme of that name; `auto` is textual's own, or the terminal's where it has only sixteen colours.

    Raises `InputError` for an unknown one.
    """
    if wanted == "auto":
        return PLAIN if Console().color_system == "standard" else "textual-dark"
    if wanted not in (names := themes()):
        raise InputError(f"ui.theme: there is no theme '{wanted}'. There are auto, {', '.join(names)}.")
    return wanted


def keep_theme(name: str) -> None:
    """Writes a theme into the user's `config.toml`; the rest of the file stays as it is.

    Raises `InputError` where the file cannot be read or written.
    """
    import tomlkit  # not before the first paint
    from tomlkit.exceptions import TOMLKitError

    file = config_file()
    try:
        document = tomlkit.parse(read_text(file)) if file.exists() else tomlkit.document()
        ui = document.setdefault("ui", tomlkit.table())
        if ui.get("theme") == name:
            return
        ui["theme"] = name
        make_folder(file.parent)
        with written_aside(file) as part:
            part.write_text(tomlkit.dumps(document), "utf-8")
    except (TOMLKitError, OSError, AttributeError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{file}: the theme cannot be kept ({reason}). Set ui.theme in it.") from None


def keymap(wanted: Mapping[str, str], bindings: Iterable[BindingType]) -> dict[str, str]:
    """Textual's keymap from `ui.keys` (name → keys with commas).

    Raises `InputError` for an unknown name, and for a key that would then do two things.
    """
    named = {binding.id: binding.key for binding in bindings if isinstance(binding, Binding) and binding.id}
    if unknown := sorted(set(wanted) - set(named)):
        raise InputError(f"ui.keys: there is no key called {', '.join(unknown)}. There are {', '.join(named)}.")
    users: dict[str, str] = {}
    for name, keys in (named | dict(wanted)).items():
        for key in keys.replace(" ", "").split(","):
            if other := users.get(key):
                raise InputError(f"ui.keys: {key} would be both '{other}' and '{name}'. Give one of them another key.")
            users[key] = name
    return {name: keys.replace(" ", "") for name, keys in wanted.items()}
