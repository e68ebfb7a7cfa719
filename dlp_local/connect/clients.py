"""The clients whose settings `dlp-local connect` knows, each from its own documentation (`docs`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dlp_local.connect import locations
from dlp_local.connect.settings_file import FileChange
from dlp_local.connect.shell import QUESTION, Variables, first_key_command, python_example, script_example
from dlp_local.connect.target import Target

NAME = "dlp-local"
"""What the server is called in a client's settings."""

NO_KEY = "no-key"
"""For clients that want a key where the server wants none."""


@dataclass(frozen=True, slots=True)
class Instructions:
    """How a client is pointed at a server: a change of its settings file, or a text to use, and what else to know."""

    file: FileChange | None = None
    text: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Client:
    """A program that speaks to servers of OpenAI's kind."""

    name: str
    title: str
    docs: str
    instructions: Callable[[Target], Instructions]


def _value(target: Target) -> str:
    return target.key.value if target.key else NO_KEY


def _openai_python(target: Target) -> Instructions:
    variables = Variables.of(target, "OPENAI_BASE_URL", "OPENAI_API_KEY")
    return Instructions(text=f"{variables}\n\n{python_example(target.model)}")


def _openai_js(target: Target) -> Instructions:
    variables = Variables.of(target, "OPENAI_BASE_URL", "OPENAI_API_KEY")
    return Instructions(text=f"{variables}\n\n{script_example(target.model)}")


def _open_webui(target: Target) -> Instructions:
    variables = Variables.of(target, "OPENAI_API_BASE_URLS", "OPENAI_API_KEYS", {"ENABLE_OPENAI_API": "true"})
    return Instructions(
        text=str(variables),
        notes=(
            "Set them before `open-webui serve`. They count for its first start; later, add the URL under "
            "Admin Panel > Settings > Connections > OpenAI.",
            "In a container 127.0.0.1 is the container itself: serve with `--host` and a key, and give the host's "
            "address as --url.",
        ),
    )


def _continue(target: Target) -> Instructions:
    model: dict[str, Any] = {
        "name": NAME,
        "provider": "openai",
        "model": target.model,
        "apiBase": target.api,
        "apiKey": _value(target),
        "roles": ["chat"],
        "defaultCompletionOptions": {"contextLength": target.context_size},
    }
    defaults = {"name": "Local Assistant", "version": "1.0.0", "schema": "v1"}
    return Instructions(FileChange(locations.continue_config(), "yaml", {"models": [model]}, defaults))


def _zed(target: Target) -> Instructions:
    model = {
        "name": target.model,
        "display_name": f"{NAME} {target.model}",
        "max_tokens": target.context_size,
        "capabilities": {"tools": True, "images": False, "parallel_tool_calls": False, "prompt_cache_key": False},
    }
    provider = {NAME: {"api_url": target.api, "available_models": [model]}}
    key = f"the one in {target.key.file}" if target.key else "any text: this server wants none"
    return Instructions(
        FileChange(locations.zed_settings(), "json", {"language_models": {"openai_compatible": provider}}),
        notes=(f"Zed keeps keys itself: enter it under `agent: open settings`, or set DLP_LOCAL_API_KEY ({key}).",),
    )


def _aider(target: Target) -> Instructions:
    change = {"model": f"openai/{target.model}", "openai-api-base": target.api, "openai-api-key": _value(target)}
    return Instructions(
        FileChange(locations.aider_config(), "yaml", change),
        notes=("Aider warns that it does not know the model; `aider --no-show-model-warnings` is silent about it.",),
    )


def _llm(target: Target) -> Instructions:
    model = {"model_id": NAME, "model_name": target.model, "api_base": target.api}
    notes: tuple[str, ...] = (f"ask with `llm -m {NAME} '{QUESTION}'`.",)
    if target.key:
        model["api_key_name"] = NAME
        key = first_key_command(target.key.file)
        notes = (f'give llm the key with `llm keys set {NAME} --value "$({key})"`.', *notes)
    return Instructions(FileChange(locations.llm_models(), "yaml", [model]), notes=notes)


def _aichat(target: Target) -> Instructions:
    model = {"name": target.model, "max_input_tokens": target.context_size, "supports_function_calling": True}
    client: dict[str, Any] = {"type": "openai-compatible", "name": NAME, "api_base": target.api}
    if target.key:
        client["api_key"] = target.key.value
    change = {"clients": [client | {"models": [model]}]}
    return Instructions(
        FileChange(locations.aichat_config(), "yaml", change, {"model": f"{NAME}:{target.model}"}),
        notes=(f"ask with `aichat -m {NAME}:{target.model} '{QUESTION}'`.",),
    )


def _goose(target: Target) -> Instructions:
    name = locations.GOOSE_PROVIDER
    variable = f"{name.upper()}_API_KEY"
    change = {
        "name": name,
        "engine": "openai",
        "display_name": NAME,
        "description": "A routed assistant on your own machines",
        "api_key_env": variable if target.key else "",
        "base_url": f"{target.api}/chat/completions",
        "models": [{"name": target.model, "context_limit": target.context_size}],
        "supports_streaming": True,
        "requires_auth": target.key is not None,
    }
    notes: tuple[str, ...] = (f"begin with `GOOSE_PROVIDER={name} GOOSE_MODEL={target.model} goose session`.",)
    if target.key:
        notes = (f'give goose the key with `export {variable}="$({first_key_command(target.key.file)})"`.', *notes)
    return Instructions(FileChange(locations.goose_provider(), "json", change), notes=notes)


def _opencode(target: Target) -> Instructions:
    options = {"baseURL": target.api}
    if target.key:
        options["apiKey"] = f"{{file:{target.key.file.as_posix()}}}" if target.key.is_alone else target.key.value
    limit = {"context": target.context_size, "output": target.context_size // 4}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": NAME,
        "options": options,
        "models": {target.model: {"name": f"{NAME} {target.model}", "limit": limit}},
    }
    return Instructions(
        FileChange(
            locations.opencode_config(),
            "json",
            {"provider": {NAME: provider}},
            {"$schema": "https://opencode.ai/config.json"},
        ),
        notes=(f"ask with `opencode run -m {NAME}/{target.model} '{QUESTION}'`.",),
    )


CLIENTS = {
    client.name: client
    for client in (
        Client("openai-python", "OpenAI's SDK for Python", "https://github.com/openai/openai-python", _openai_python),
        Client("openai-js", "OpenAI's SDK for JavaScript", "https://github.com/openai/openai-node", _openai_js),
        Client(
            "open-webui",
            "Open WebUI",
            "https://docs.openwebui.com/getting-started/quick-start/starting-with-openai-compatible",
            _open_webui,
        ),
        Client(
            "continue",
            "Continue",
            "https://docs.continue.dev/customize/model-providers/top-level/openai",
            _continue,
        ),
        Client("zed", "Zed", "https://zed.dev/docs/ai/use-api-access", _zed),
        Client("aider", "aider", "https://aider.chat/docs/config/aider_conf.html", _aider),
        Client("llm", "llm", "https://llm.datasette.io/en/stable/other-models.html", _llm),
        Client("aichat", "aichat", "https://github.com/sigoden/aichat/blob/main/config.example.yaml", _aichat),
        Client("goose", "goose", "https://block.github.io/goose/docs/getting-started/providers", _goose),
        Client("opencode", "opencode", "https://opencode.ai/docs/providers/", _opencode),
    )
}
"""By name, in the order of the list."""
