"""Where clients look for their settings, on each system, as their documentation says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

GOOSE_PROVIDER = "custom_dlp_local"
"""The name that goose itself would give a provider of this name."""


def continue_config() -> Path:
    """Continue's `config.yaml`."""
    return _from_variable("CONTINUE_GLOBAL_DIR", Path.home() / ".continue") / "config.yaml"


def zed_settings() -> Path:
    """Zed's `settings.json`; on macOS it is where it is on Linux."""
    folder = _roaming() / "Zed" if sys.platform == "win32" else _xdg_config() / "zed"
    return folder / "settings.json"


def aider_config() -> Path:
    """Aider's settings for every project."""
    return Path.home() / ".aider.conf.yml"


def llm_models() -> Path:
    """The models that llm is told of, in its user folder."""
    return _from_variable("LLM_USER_PATH", _app_folder("io.datasette.llm")) / "extra-openai-models.yaml"


def aichat_config() -> Path:
    """Aichat's `config.yaml`."""
    return _from_variable("AICHAT_CONFIG_DIR", _app_folder("aichat")) / "config.yaml"


def goose_provider() -> Path:
    """The file of a provider of one's own; on macOS it is where it is on Linux."""
    folder = _roaming() / "Block" / "goose" / "config" if sys.platform == "win32" else _xdg_config() / "goose"
    return folder / "custom_providers" / f"{GOOSE_PROVIDER}.json"


def opencode_config() -> Path:
    """Opencode's settings for every project: the file with comments where there is one."""
    folder = _xdg_config() / "opencode"
    with_comments = folder / "opencode.jsonc"
    return with_comments if with_comments.exists() else folder / "opencode.json"


def _from_variable(name: str, otherwise: Path) -> Path:
    value = os.environ.get(name)
    return Path(value).expanduser() if value else otherwise


def _xdg_config() -> Path:
    return _from_variable("XDG_CONFIG_HOME", Path.home() / ".config")


def _roaming() -> Path:
    return _from_variable("APPDATA", Path.home() / "AppData" / "Roaming")


def _app_folder(name: str) -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / name
    return (_roaming() if sys.platform == "win32" else _xdg_config()) / name
