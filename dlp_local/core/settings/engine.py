"""The settings of the engine: context, threads, memory, timeout."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from dlp_local.core.errors import InputError
from dlp_local.core.files import read_text
from dlp_local.core.paths import user_path
from dlp_local.core.server_address import server_url
from dlp_local.core.settings.group import Group

_PATH = re.compile(r"[^\n<>|]*[/\\][^\n<>|]*|[^\s<>|]+\.\w{1,8}")


def _template(value: str) -> str:
    """The text of a chat template, which may be in a file: what has no brace and looks like a path is one."""
    if "{" in value or not _PATH.fullmatch(value):
        return value
    try:
        text = read_text(user_path(value))
    except InputError as error:
        raise ValueError(f"names no file with a chat template: {error}".rstrip(".")) from None
    if "{" not in text:
        raise ValueError(f"names a file that holds no Jinja: {value}. Name one with a chat template")
    return text


def _url(value: str) -> str:
    """An address as `server_url` makes it, without a user's name and password; nothing stays nothing."""
    if not value:
        return value
    with suppress(InputError):
        url = server_url(value)
        if "@" not in urlsplit(url).netloc:
            return url
    raise ValueError("is no address of a server. Write it as http://127.0.0.1:8080")


class Engine(Group):
    """How the backbone runs."""

    context: int = Field(8192, ge=64, description="tokens of context; at most what the backbone was trained for")
    threads: int = Field(
        0,
        ge=0,
        le=512,
        description="threads of the backbone; 0: as many as are fast at the moment, at most one for each physical core",
    )
    fixed_threads: bool = Field(
        False,
        description="with engine.parallel over 1 their number stays, however busy the machine is: what is asked "
        "together again is answered the same, to the letter",
    )
    chat_template: Annotated[str, AfterValidator(_template)] = Field(
        "", description="Jinja text, or the path of a file with it, in place of the chat template of the backbone"
    )
    batch: int = Field(512, ge=1, description="tokens of a prompt that are computed at once")
    gpu_layers: int = Field(-1, ge=-1, le=9999, description="layers on the GPU where there is one; -1: all")
    flash_attention: Literal["auto", "on", "off"] = Field(
        "auto", description="auto: on the GPU, and with engine.parallel over 1"
    )
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
    parallel: int = Field(
        1,
        ge=1,
        le=64,
        description="answers that are computed at the same time; each is then the same to rounding alone",
    )
    response_timeout: float = Field(
        60.0, ge=1, le=86_400, description="seconds without a sign of life after which the engine is ended as frozen"
    )
    url: Annotated[str, AfterValidator(_url)] = Field(
        "", description="address of a llama-server or vLLM that computes in place of this machine, as http://box:8080"
    )
    kind: Literal["auto", "llama-server", "vllm"] = Field("auto", description="what is at engine.url; auto: asked")
    api_key_file: str = Field("", description="path of a file with the key that the engine at engine.url asks for")
    mix_folder: str = Field(
        "", description="folder for the mixes that vLLM loads, where it can read them, too; none: in the user's data"
    )
    mix_folder_there: str = Field("", description="path of engine.mix_folder on vLLM's machine, where that differs")
