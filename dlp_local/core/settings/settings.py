"""All settings of one run, and where each value comes from.

Order of precedence: command-line flags, environment (`DLP_LOCAL_*`, groups with two underscores:
`DLP_LOCAL_ROUTING__TOP_P=0.8`), `config.toml` in the user's configuration folder, the defaults below.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
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
from dlp_local.core.json_text import json_value, parse_json
from dlp_local.core.paths import config_file
from dlp_local.core.settings.engine import Engine
from dlp_local.core.settings.group import Group
from dlp_local.core.settings.routing import Routing
from dlp_local.core.settings.sampling import Sampling
from dlp_local.core.settings.server import Server
from dlp_local.core.settings.ui import Ui
from dlp_local.core.text import did_you_mean, ended

ENV_PREFIX, ENV_DELIMITER = "DLP_LOCAL_", "__"

FOLDERS = frozenset({"CONFIG", "DATA"})
"""Variables, without their prefix, that `core.paths` reads."""

OTHERS = re.compile(r"API_KEY|LLAMA_CPP|UPDATE_SNAPSHOTS|TEST_\w+|CI_\w+")
"""Those that others read: Zed the key of a provider of this name, the rest the tests and where they run."""

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
        return self._with_engine(parallel=PARALLEL)

    def for_comparison(self) -> Settings:
        """Those of `for_many`, with answers that are the same when they are asked for again, to the letter."""
        return self._with_engine(parallel=PARALLEL, fixed_threads=True)

    def for_answers(self) -> list[str]:
        """Those that the user set and that say what answers are like, as `sampling.max_tokens`."""
        groups = {"routing": self.routing, "sampling": self.sampling}
        of_groups = (f"{group}.{name}" for group, fields in groups.items() for name in sorted(fields.model_fields_set))
        return [*(["system"] if self.system else []), *of_groups]

    def _with_engine(self, **defaults: Any) -> Settings:
        """With other defaults of the engine, where the user set nothing else."""
        unset = {name: value for name, value in defaults.items() if name not in self.engine.model_fields_set}
        return self.model_copy(update={"engine": self.engine.model_copy(update=unset)})

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
    """The tables of the user's `config.toml`; nothing where there is none, unless the environment names it."""
    file = config_file()
    if file.exists():
        return tomllib.loads(read_text(file))
    if os.environ.get(f"{ENV_PREFIX}CONFIG"):
        raise InputError(f"settings: {ENV_PREFIX}CONFIG names {file}, which is not there. Write it, or unset that.")
    return {}


def load_settings(**flags: Any) -> Settings:
    """Settings with `flags` on top; groups are dictionaries; a flag that is None and an empty group do not count.

    Raises `InputError` that lists every value that cannot be used, and says where each was given.
    """
    own: dict[str, Any] = {
        name: {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value
        for name, value in flags.items()
    }
    own = {name: value for name, value in own.items() if value not in (None, {})}
    reasons = list(_unknown_variables())
    try:
        settings = Settings(**own)
    except ValidationError as error:
        reasons.insert(0, problems(error, Settings, partial(_where, own)))
    except SettingsError:
        reasons.insert(0, _no_json() or "a variable DLP_LOCAL_* of the environment cannot be read. Look at them")
    except (ValueError, OSError) as error:
        raise InputError(f"settings: {config_file()} cannot be read: {error}. Mend or remove the file.") from None
    if reasons:
        raise InputError(f"settings: {ended('; '.join(reasons))}")
    return settings


def _unknown_variables() -> Iterator[str]:
    """What is wrong with variables of the environment that nothing reads; of one in a group, the group itself tells."""
    groups = {name.upper(): fields for name in Settings.model_fields if (fields := _fields_of(name))}
    alone = {*map(str.upper, Settings.model_fields), *FOLDERS}
    known = alone | {f"{name}{ENV_DELIMITER}{field}".upper() for name, fields in groups.items() for field in fields}
    for variable in map(str.upper, os.environ):
        name = variable.removeprefix(ENV_PREFIX)
        is_ours = variable.startswith(ENV_PREFIX) and not OTHERS.fullmatch(name)
        if is_ours and name not in alone and name.partition(ENV_DELIMITER)[0] not in groups:
            near = did_you_mean(name, sorted(known)).replace(" '", f" '{ENV_PREFIX}")
            yield f"{variable}: there is nothing of that name.{near}".rstrip(".")


def _fields_of(name: str) -> Collection[str]:
    """The settings in a group; none where the name is that of one setting."""
    group = Settings.model_fields[name].annotation
    return group.model_fields if isinstance(group, type) and issubclass(group, Group) else ()


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
    given = {name.upper(): text for name, text in os.environ.items()}
    for depth in range(len(path), 0, -1):  # a whole group may be given as JSON
        variable = f"{ENV_PREFIX}{ENV_DELIMITER.join(path[:depth])}".upper()
        if variable in given and _says(given[variable], path[depth:]):
            return variable
    return str(config_file())


def _says(text: str, path: tuple[str, ...]) -> bool:
    """Whether a variable says something of a setting within what it stands for."""
    value: Any = json_value(text) if path else None
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True
