"""The settings of the chat window."""

from __future__ import annotations

from pydantic import Field

from dlp_local.core.settings.group import Group


class Ui(Group):
    """The chat window."""

    theme: str = Field("auto", description="a theme of /theme; auto: dark, or the terminal's own sixteen colours")
    keys: dict[str, str] = Field({}, description="other keys by name, as in {new = 'ctrl+n,f9'}")
