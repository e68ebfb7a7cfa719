"""All settings of one run, and where each value comes from.

Order of precedence: command-line flags, environment (`DLP_LOCAL_*`, groups with two underscores:
`DLP_LOCAL_ROUTING__TOP_P=0.8`), `config.toml` in the user's configuration folder, the defaults below.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from dlp_local.core.errors import InputError
from dlp_local.core.fields import expected_at, problems
from dlp_local.core.files import read_text
from dlp_local.core.json_text import parse_json
from dlp_local.core.paths import config_file
from dlp_local.core.settings.engine import Engine
from dlp_local.core.settings.routing import Routing
from dlp_local.core.settings.sampling import Sampling
from dlp_local.core.settings.server import Server
from dlp_local.core.settings.ui import Ui
from dlp_local.core.text import ended

ENV_PREFIX, ENV_DELIMITER = "DLP_LOCAL_", "__"

PARALLEL = 16
"""`engine.parallel` where many ask, or one asks much, and nothing is set."""


class Settings(BaseSettings):
    """All settings of one run, frozen."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER, frozen=True, extra="forbid", validate_default=True
    )

    pack: str | None = Field(None, description="a pack's name or folder; none: the one that `pack use` chose")
    system: str = Field("", description="system prompt")
    routing: Routing = Routing()
    sampling: Sampling = Sampling()
    engine: Engine = Engine()
    server: Server = Server()
    ui: Ui = Ui()

    def for_many(self) -> Settings:
        """Those for many messages at a time: several answers are computed at once, unless the user says how many."""
        if "parallel" in self.engine.model_fields_set:
            return self
        return self.model_copy(update={"engine": self.engine.model_copy(update={"parallel": PARALLEL})})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over the TOML file."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, _config())


def _config() -> dict[str, Any]:
    """The tables of the user's `config.toml`; nothing where there is none."""
    return tomllib.loads(read_text(config_file())) if config_file().exists() else {}


def load_settings(**flags: Any) -> Settings:
    """Settings with `flags` on top; groups are dictionaries; a flag that is None and an empty group do not count.

    Raises `InputError` that lists every value that cannot be used, and says where each was given.
    """
    own: dict[str, Any] = {
        name: {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value
        for name, value in flags.items()
    }
    own = {name: value for name, value in own.items() if value not in (None, {})}
    try:
        return Settings(**own)
    except ValidationError as error:
        raise InputError(f"settings: {ended(problems(error, Settings, partial(_where, own)))}") from None
    except SettingsError:
        reason = _no_json() or "a variable DLP_LOCAL_* of the environment cannot be read. Look at them"
        raise InputError(f"settings: {reason}.") from None
    except (ValueError, OSError) as error:
        raise InputError(f"settings: {config_file()} cannot be read: {error}. Mend or remove the file.") from None


def _no_json() -> str:
    """Which variables of the environment hold no JSON, where a list or a table is wanted."""
    problems = []
    for variable, value in os.environ.items():
        path = tuple(variable.upper().removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER))
        wanted = expected_at(Settings, path) if variable.upper().startswith(ENV_PREFIX) else ""
        if not wanted.startswith(("a list", "a table")):
            continue
        example = '["a", "b"]' if wanted.startswith("a list") else '{"name": "value"}'
        try:
            parse_json(value, variable, f"Give {wanted}, as {example}.")
        except InputError as error:
            problems.append(str(error).rstrip("."))
    return "; ".join(problems)


def _where(flags: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """Where the value of a setting was given: a flag, a variable of the environment, or the file."""
    value: Any = flags
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is not None:
        return f"--{path[-1].replace('_', '-')}"
    variable = f"{ENV_PREFIX}{ENV_DELIMITER.join(path)}".upper()
    return variable if variable in map(str.upper, os.environ) else str(config_file())
