"""How another program is started as the engine of a pack: its command line, and the files that it loads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dlp_local.core.settings import Settings
from dlp_local.core.text import counted
from dlp_local.engine.remote.command_lines import (
    LLAMA_PORT,
    VLLM_PORT,
    copies_folder,
    llama_server_command,
    single_mixes,
    vllm_command,
)
from dlp_local.engine.remote.known_adapters import KnownAdapters
from dlp_local.engine.remote.mixes import MixStore
from dlp_local.formats.gguf import read_leading_values
from dlp_local.opening import settings_for
from dlp_local.packs import Pack, open_pack, pack_folder


@dataclass(frozen=True, slots=True)
class EngineCommand:
    """The line that starts a program, the address at which it then is, and what there is to say of it."""

    line: str
    url: str
    notes: tuple[str, ...]


def write_for_llama_server(settings: Settings, out: Path | None, host: str, port: int | None) -> EngineCommand:
    """Writes copies of the pack's adapters that llama-server can mix; raises `PackError` and `InputError`."""
    pack = open_pack(pack_folder(settings.pack))
    adapters, folder = KnownAdapters(pack.adapter_files()), (out or copies_folder()).absolute()
    options, port = settings_for(pack, settings).engine, port or LLAMA_PORT
    line = llama_server_command(pack.backbone_path, adapters, options, folder=folder, host=host, port=port)
    for file in adapters.files:
        adapters.copy(file, folder)
    written = f"{counted(len(adapters.files), 'adapter')} written to {folder}."
    return EngineCommand(line, f"http://{host}:{port}", (written,))


def write_for_vllm(
    settings: Settings, out: Path | None, model: Path | None, host: str, port: int | None
) -> EngineCommand:
    """Writes the pack's adapters, and the one that stands for the bare backbone, as PEFT folders; raises as above."""
    pack = open_pack(pack_folder(settings.pack))
    options, port = settings_for(pack, settings).engine, port or VLLM_PORT
    if out is not None:
        options = options.model_copy(update={"mix_folder": str(out.absolute())})
    adapters = KnownAdapters(pack.adapter_files())
    mixes = MixStore(pack.backbone_path, adapters, options.mix_folder)
    for mix in single_mixes(adapters):
        mixes.write(mix)
    given = {"model": str(model.absolute())} if model else {}
    line = vllm_command(
        pack.name, adapters, mixes, options, most_adapters=settings.routing.max_adapters, host=host, port=port, **given
    )
    notes = [f"{counted(len(adapters.files), 'adapter')} written to {mixes.folder}."]
    if model is None:
        notes.append(
            f"vLLM reads the backbone from a Hugging Face folder, not from GGUF: name that of {_model_name(pack)} by "
            "--model."
        )
    if out is not None:
        notes.append(f"Set engine.mix_folder to {mixes.folder}, too.")
    notes.append("Whoever reaches a vLLM that loads adapters at run time may have it load any folder: keep it private.")
    return EngineCommand(line, f"http://{host}:{port}", tuple(notes))


def _model_name(pack: Pack) -> str:
    """What model a pack's backbone was made of, as far as its header tells."""
    header = read_leading_values(pack.backbone_path)
    keys = ("general.base_model.0.repo_url", "general.source.huggingface.repository", "general.name")
    said = next((str(header[key].value) for key in keys if key in header), "")
    return said[:120] if said.isprintable() and said else f"the model that {pack.backbone_path.name} was made of"
