"""docs/guide.md: its commands exist, and its training makes an adapter that goes in."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dlp_local.core.errors import PackError
from dlp_local.formats.gguf import read_header
from dlp_local.packs.adapters import add_adapter, inspect
from dlp_local.packs.create import start_pack
from dlp_local.packs.manifest import parse_manifest, read_manifest
from tests.support.documented_commands import check_command, every_command_of

DOCS = Path(__file__).parent.parent / "docs"
GUIDE = (DOCS / "guide.md").read_text("utf-8")


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.DOTALL)


@every_command_of(DOCS / "guide.md")
def test_every_command_of_the_guide_exists_with_its_options(line):
    check_command(line)


def test_the_manifest_of_the_guide_is_one_but_for_its_hashes():
    sha256 = f'sha256 = "{"0" * 64}"'
    text = blocks("toml")[0].replace('sha256 = "…"', sha256)
    with pytest.raises(PackError, match="encoder: is missing"):
        parse_manifest(text, Path("pack.toml"))
    encoder = f'[encoder]\nfile = "e.onnx"\n{sha256}\ntokenizer = {{file = "t.json", {sha256}}}\n'
    manifest = parse_manifest(f"{text}\n{encoder}", Path("pack.toml"))
    assert manifest.adapters["sql"].scale == 1.0
    assert manifest.backbone.stop == ("\n\n\n",)


def test_the_training_of_the_guide_makes_an_adapter_that_fits(tmp_path):
    pytest.importorskip("torch", reason="needs the `train` extra")
    pytest.importorskip("peft", reason="needs the `train` extra")
    from tests.support.tiny_models import random_model, write_backbone

    model = random_model("qwen2")
    model.save_pretrained(tmp_path / "model")
    tokenizer_of_characters().save_pretrained(tmp_path / "model")
    write_backbone("qwen2", model, tmp_path / "backbone.gguf")
    rows = [{"prompt": f"how many {noun}", "answer": f"select {noun}"} for noun in ("cats", "dogs", "owls")]
    (tmp_path / "sql.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    command = [sys.executable, DOCS / "train_adapter.py", tmp_path / "sql.jsonl", tmp_path / "sql-lora"]
    options = ["--model", tmp_path / "model", "--epochs", "60", "--batch", "2", "--lr", "2e-2"]
    ran = subprocess.run([*map(str, [*command, *options])], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    losses = [float(loss) for loss in re.findall(r"loss ([\d.]+)", ran.stdout)]
    assert losses[-1] < losses[0] / 2, losses

    folder = start_pack("work", tmp_path / "backbone.gguf")
    add_adapter(folder, tmp_path / "sql-lora", "sql")
    adapter = read_manifest(folder).adapters["sql"]
    fit = inspect(folder / adapter.file, read_header(folder / "backbone.gguf"))
    assert (fit.ranks, fit.alpha, fit.problem) == ((16,), 32.0, "")
    assert fit.weights == ("attn_k", "attn_output", "attn_q", "attn_v", "ffn_down", "ffn_gate", "ffn_up")


def tokenizer_of_characters():
    """A tokenizer of single characters with a chat template of Qwen's form."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "<|im_end|>", "<|im_start|>", "<unk>"]
    vocabulary = {token: i for i, token in enumerate([*special, *"abcdefghijklmnopqrstuvwxyz \n"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<|im_end|>", additional_special_tokens=special[3:4]
    )
    fast.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return fast
