"""Every setting with its default, once.

Order of precedence: command-line flags, environment (`DLP_LOCAL_*`, groups with two underscores:
`DLP_LOCAL_ROUTING__TOP_P=0.8`), `config.toml` in the user's configuration folder, the defaults below.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from dlp_local.core.errors import InputError
from dlp_local.core.fields import problems
from dlp_local.core.files import read_text
from dlp_local.core.paths import config_file

ENV_PREFIX, ENV_DELIMITER = "DLP_LOCAL_", "__"


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Routing(_Group):
    """How probabilities become a mix."""

    top_p: float = Field(0.9, gt=0, le=1, description="keep the most probable entries until they reach this sum")
    max_adapters: int = Field(4, ge=1, le=32, description="mix at most so many entries")
    normalize: Literal["proportional", "softmax"] = Field("proportional", description="weights of what was kept")
    encoder_threads: int = Field(1, ge=1, le=256, description="threads of the encoder and the router")


class Sampling(_Group):
    """How the next token is chosen from the backbone's logits.

    Each field is a flag of `ask` and `persona save`, a field of a conversation's options, and a line of the form: its
    title is the label there, its description the help.
    """

    temperature: float = Field(
        0.0, ge=0, le=5, title="Temperature", description="0 always takes the most probable token"
    )
    top_k: int = Field(40, ge=0, title="Top-k", description="only the k most probable tokens; 0 takes all")
    top_p: float = Field(0.95, gt=0, le=1, title="Top-p", description="only the most probable tokens up to this sum")
    min_p: float = Field(0.05, ge=0, le=1, title="Min-p", description="only tokens this probable relative to the best")
    repeat_penalty: float = Field(
        1.0, ge=0.1, le=10, title="Repeat penalty", description="over 1 makes repetition less probable"
    )
    repeat_last: int = Field(
        64, ge=-1, title="Penalty's reach", description="tokens that the penalty looks back on; -1: the whole context"
    )
    seed: int | None = Field(None, ge=0, le=0xFFFFFFFE, title="Seed", description="the same seed gives the same answer")
    max_tokens: int = Field(512, ge=1, title="Longest answer", description="most tokens of an answer")
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), title="Stops", description="texts that end the answer; they are not part of it"
    )


class Engine(_Group):
    """How the backbone runs."""

    context: int = Field(8192, ge=64, description="tokens of context; at most what the backbone was trained for")
    threads: int = Field(
        0, ge=0, le=512, description="threads of the backbone; 0: one for each physical core, one alone if it is tiny"
    )
    chat_template: str = Field("", description="Jinja text in place of the chat template that the backbone brings")
    batch: int = Field(512, ge=1, description="tokens of a prompt that are computed at once")
    gpu_layers: int = Field(-1, ge=-1, description="layers on the GPU where there is one; -1: all")
    flash_attention: Literal["auto", "on", "off"] = Field("auto", description="auto: on the GPU")
    kv_type: Literal["f16", "q8_0", "q4_0"] = Field(
        "f16", description="numbers of the KV cache; fewer bits, less exact"
    )
    check_memory: bool = Field(True, description="refuse a backbone that would not fit the free memory")
    stack: bool = Field(True, description="several adapters of a mix run as one; false: as llama.cpp's own list")
    adapter_memory: int = Field(
        0, ge=0, description="MiB for adapters and stacked mixes; 0: a sixteenth of the machine's memory"
    )
    reuse_base_answers: bool = Field(
        True,
        description="what the backbone alone wrote is not computed again for the next message; false: it is, and "
        "answers are bit for bit those of a fresh start",
    )
    response_timeout: float = Field(
        60.0, ge=1, description="seconds without a sign of life after which the engine is ended as frozen"
    )


class Ui(_Group):
    """The chat window."""

    theme: str = Field("auto", description="a theme of /theme; auto: dark, or the terminal's own sixteen colours")
    keys: dict[str, str] = Field({}, description="other keys by name, as in {new = 'ctrl+n,f9'}")


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
    ui: Ui = Ui()

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
        where = {tuple(problem["loc"]): _where(tuple(map(str, problem["loc"])), own) for problem in error.errors()}
        raise InputError(f"settings: {'; '.join(problems(error, Settings, where))}.") from None
    except SettingsError as error:
        raise InputError(f"settings: {error}. Look at DLP_LOCAL_* in the environment.") from None
    except (ValueError, OSError) as error:
        raise InputError(f"settings: {config_file()} cannot be read: {error}. Mend or remove the file.") from None


def _where(path: tuple[str, ...], flags: Mapping[str, Any]) -> str:
    """Where the value of a setting was given: a flag, a variable of the environment, or the file."""
    value: Any = flags
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is not None:
        return f"--{path[-1].replace('_', '-')}"
    variable = f"{ENV_PREFIX}{ENV_DELIMITER.join(path)}".upper()
    return variable if variable in map(str.upper, os.environ) else str(config_file())
