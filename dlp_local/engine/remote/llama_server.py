"""llama-server as an engine: adapters are fixed at its start, and each request says how much of each it wants.

Prompts go as tokens to `/completion`, rendered here: its own chat completions would leave out what its template does
not take, and read tokens' names in messages as tokens. Every request carries the whole list of adapters, zeros too:
without it, or with an empty one, all apply at 1.0. Unknown ids are accepted there in silence; so the list is asked for
before each answer and compared with the files here.

Its cache of prompts in memory (`--cache-ram`) does not know under which adapters they were computed (llama.cpp #26207):
prompts are computed anew for each answer unless the server says, by a tag, that it was started without that cache.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlp_local.core.errors import EngineError
from dlp_local.core.job import Cancellation
from dlp_local.core.values import AdapterFile, Mix
from dlp_local.engine.remote.command_lines import ONE_CACHE
from dlp_local.engine.remote.connection import BrokenStreamError, Connection, RefusedError
from dlp_local.engine.remote.known_adapters import KnownAdapters, content_digest
from dlp_local.engine.remote.remote_server import Description, Finish, Piece, Pieces, Request

_SAMPLERS = ("penalties", "top_k", "top_p", "min_p", "temperature")
"""In the order of the engine here."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """An adapter as the server lists it."""

    id: int
    path: str
    has_invocation: bool

    @property
    def file_name(self) -> str:
        return file_name(self.path)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why adapters cannot be used: what is said of one, and of several."""

    one: str
    several: str

    def of(self, names: Sequence[str]) -> str:
        return (self.one if len(names) == 1 else self.several).format(", ".join(names))


_MISSING = _Problem("the adapter {} is missing there", "the adapters {} are missing there")
_OTHER = _Problem(
    "the adapter {} there is another one than the pack's", "the adapters {} there are other ones than the pack's"
)
_INVOKED = _Problem(
    "the adapter {} there has invocation tokens, with which llama-server takes no mix",
    "the adapters {} there have invocation tokens, with which llama-server takes no mix",
)


class LlamaServer:
    """One `RemoteServer`. `command`: makes the line that would start it right."""

    def __init__(
        self, connection: Connection, backbone: Path, adapters: KnownAdapters, command: Callable[[], str]
    ) -> None:
        self._connection, self._backbone, self._adapters, self._command = connection, backbone, adapters, command
        self._keeps_prompts = False
        self._other_model = ""

    def describe(self) -> Description:
        """See `RemoteServer`."""
        try:
            props, model = self._connection.get("/props"), self._connection.get("/v1/models")
        except RefusedError as error:
            raise EngineError(
                f"{self._connection.url}: is no llama-server ({error.status}). Look at engine.url and engine.kind."
            ) from None
        try:
            self._other_model = self._model_beside(str(props.get("model_path") or ""))
            settings, entry = props["default_generation_settings"], model["data"][0]
            tags = entry.get("tags") or []
            described = Description(
                name=f"llama-server {props.get('build_info', '')}".strip(),
                base=str(props.get("model_path") or entry["id"]),
                adapters=tuple(loaded.file_name for loaded in self._loaded()),
                context_size=int(settings["n_ctx"]),
                concurrent_replies=int(props["total_slots"]),
                format_features=frozenset({"grammar", "json_schema", "logit_bias", "tools"}),
                notices=(f"llama-server: {self._other_model}.",) if self._other_model else (),
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise EngineError(f"{self._connection.url}: is no llama-server that is known here. Update it.") from None
        self._keeps_prompts = ONE_CACHE in tags
        self._ids(self._loaded(), self._adapters.files)
        return described

    def _model_beside(self, path: str) -> str:
        """What there is to say of a model that is called otherwise than the backbone of the pack."""
        name = file_name(path)
        is_same = not name or name == self._backbone.name
        return "" if is_same else f"computes with {name}, and the backbone of the pack is {self._backbone.name}"

    def tokenize(self, text: str) -> list[int]:
        """See `RemoteServer`."""
        body = {"content": text, "add_special": False, "parse_special": False}
        answer = self._connection.post("/tokenize", body)
        return list(answer["tokens"]) if isinstance(answer, dict) and isinstance(answer.get("tokens"), list) else []

    def prepare(self, mix: Mix) -> str:
        """See `RemoteServer`; the handle names the scale of each adapter of the server's."""
        loaded = self._loaded()
        factors = self._adapters.factors(mix)
        ids = self._ids(loaded, [file for file, _ in factors])
        scales = dict.fromkeys((entry.id for entry in loaded), 0.0)
        scales |= {ids[file.name]: factor for file, factor in factors}
        return ",".join(f"{number}={scale!r}" for number, scale in scales.items())

    def release(self, handle: str) -> None:
        """Nothing is held."""

    def stream(self, request: Request, handle: str, cancellation: Cancellation) -> Pieces:
        """See `RemoteServer`."""
        pairs = [part.split("=") for part in handle.split(",") if part]
        sampling = request.sampling
        body = {
            "prompt": list(request.prompt),
            "n_predict": request.max_tokens,
            "stream": True,
            "timings_per_token": True,
            "cache_prompt": self._keeps_prompts,
            "lora": [{"id": int(number), "scale": float(scale)} for number, scale in pairs],
            "samplers": _SAMPLERS,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "repeat_penalty": sampling.repeat_penalty,
            "repeat_last_n": sampling.repeat_last,
            "frequency_penalty": sampling.frequency_penalty,
            "presence_penalty": sampling.presence_penalty,
            "seed": sampling.seed or 0,
            **({"grammar": request.grammar} if request.grammar else {}),
            "logit_bias": [[token, bias] for token, bias in request.logit_bias],
        }
        for event in self._connection.stream("/completion", body, cancellation):
            try:
                if tokens := tuple(int(token) for token in event.get("tokens") or ()):
                    cached = int((event.get("timings") or {}).get("cache_n", 0))
                    yield Piece(tokens, str(event["content"]), cached)
                if event["stop"]:
                    yield Finish("length" if event["stop_type"] == "limit" else "stop")
                    return
            except (KeyError, TypeError, ValueError):
                raise BrokenStreamError(
                    f"{self._connection.url}: its answer could not be read. Update llama-server."
                ) from None
        if not cancellation.requested:
            raise BrokenStreamError(f"{self._connection.url}: the answer came to no end.")

    def add_adapter(self, adapter: AdapterFile) -> None:
        """See `RemoteServer`; raises `EngineError` with the right command line where it is not loaded there."""
        loaded = self._loaded()
        with self._adapters.added(adapter):
            self._ids(loaded, [adapter])

    def remove_adapter(self, name: str) -> None:
        """See `RemoteServer`; the server keeps it, at a scale of 0."""
        self._adapters.remove(name)

    def _loaded(self) -> list[_Loaded]:
        listed = self._connection.get("/lora-adapters")
        try:
            return [
                _Loaded(int(entry["id"]), str(entry["path"]), bool(entry.get("alora_invocation_tokens")))
                for entry in listed
            ]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise EngineError(f"{self._connection.url}: does not say which adapters it has. Update it.") from None

    def _ids(self, loaded: Sequence[_Loaded], wanted: Sequence[AdapterFile]) -> Mapping[str, int]:
        """The server's number of each wanted adapter; raises `EngineError` that lists all that are not there."""
        ids, problems = dict[str, int](), dict[_Problem, list[str]]()
        for file in wanted:
            entry = next((entry for entry in loaded if self._is_copy(file, entry)), None)
            if entry is None:
                problems.setdefault(self._problem(file, loaded), []).append(file.name)
            else:
                ids[file.name] = entry.id
        if problems:
            told = [self._other_model] if self._other_model else []
            told += [problem.of(names) for problem, names in problems.items()]
            raise EngineError(
                f"{self._connection.url}: {'; '.join(told)}. Start it with the line that "
                f"`dlp-local engine command llama-server` prints, which writes the files for it:\n{self._command()}"
            )
        return ids

    def _is_copy(self, file: AdapterFile, entry: _Loaded) -> bool:
        """Whether a loaded adapter is this one, made for other engines: by its name, which holds a part of the hash.

        The pack's own file is taken, too, where it needs no copy; its content is compared where it lies here.
        """
        if entry.has_invocation:
            return False
        if entry.file_name == self._adapters.copy_name(file):
            return True
        here = Path(entry.path)
        is_same_name = entry.file_name == file.path.name
        return is_same_name and (not here.is_file() or content_digest(here) == self._adapters.digest(file))

    def _problem(self, file: AdapterFile, loaded: Sequence[_Loaded]) -> _Problem:
        """What is wrong with what is there of an adapter, none of which is a copy of it."""
        names = {entry.file_name: entry for entry in loaded}
        entry = names.get(self._adapters.copy_name(file)) or names.get(file.path.name)
        if entry is not None and entry.has_invocation:
            return _INVOKED
        copies = re.compile(rf"{re.escape(file.name)}-[0-9a-f]+\.gguf")
        is_there = any(name == file.path.name or copies.fullmatch(name) for name in names)
        return _OTHER if is_there else _MISSING


def file_name(path: str) -> str:
    """The last part of a path of another machine, whichever system that has."""
    return re.split(r"[\\/]", path)[-1]
