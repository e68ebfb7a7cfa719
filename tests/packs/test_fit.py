"""Which adapters fit a backbone: what llama.cpp loads is accepted, everything else is refused with the reason."""

import numpy as np
import pytest

from dlp_local.core.errors import PackError
from dlp_local.core.settings import Engine as Options
from dlp_local.engine.local.llama import Backbone
from dlp_local.formats.gguf import read_header
from dlp_local.formats.lora import problems_of_fit, read_lora
from dlp_local.packs.adapters import (
    add_adapter,
    inspect,
)
from tests.support.lora import read_pairs, write_lora
from tests.support.pack_state import pack_state


def other(bundled, path, change_pairs, **options):
    """The bundled sql adapter with other tensors."""
    pairs = read_pairs(bundled / "sql.gguf")
    return write_lora(path, change_pairs(pairs), **options)


Q = "blk.0.attn_q.weight"


def renamed(pairs):
    return {name.replace("blk.0.", "blk.77."): array for name, array in pairs.items()}


def shaped(half, axis, size):
    def change_pairs(pairs):
        array = pairs[f"{Q}.lora_{half}"]
        shape = list(array.shape)
        shape[axis] = size
        return pairs | {f"{Q}.lora_{half}": np.ones(shape, np.float32)}

    return change_pairs


FOREIGN = {
    "another architecture": (lambda pairs: pairs, {"arch": "qwen2"}, "architecture qwen2, and the backbone is llama"),
    "weights that the backbone lacks": (renamed, {}, r"the backbone has no weight blk\.77\."),
    "more inputs": (shaped("a", 1, 512), {}, rf"{Q} goes from 512 to"),
    "more outputs": (shaped("b", 0, 512), {}, rf"{Q} goes from \d+ to 512"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_an_adapter_that_does_not_fit_the_backbone_is_refused_and_changes_nothing(mine, bundled, tmp_path, name):
    change_pairs, options, reason = FOREIGN[name]
    path = other(bundled, tmp_path / "foreign.gguf", change_pairs, **options)
    before = pack_state(mine)
    with pytest.raises(PackError, match=rf"foreign\.gguf: does not fit the backbone: .*{reason}"):
        add_adapter(mine, path, "foreign")
    assert pack_state(mine) == before


def test_invocation_tokens_that_the_backbone_lacks_are_told(mine, bundled, tmp_path):
    data = bytearray((bundled / "sql.gguf").read_bytes())
    key = b"adapter.alora.invocation_tokens"
    at = data.index(key) + len(key) + 4 + 4 + 8  # the array's type, its elements' and its length
    data[at : at + 4] = (9999).to_bytes(4, "little")
    path = tmp_path / "foreign.gguf"
    path.write_bytes(data)
    with pytest.raises(PackError, match=r"its invocation tokens are \(9999,.*knows 4096 tokens"):
        add_adapter(mine, path, "foreign")


def pair(name, inputs, outputs, transposed=False):
    """A and B of a weight; those of the token embeddings are the other way round."""
    a = (inputs, 4) if transposed else (4, inputs)
    return {f"{name}.lora_a": np.ones(a, np.float32), f"{name}.lora_b": np.ones((outputs, 4), np.float32)}


def test_what_fits_is_what_llama_cpp_loads(bundled, tmp_path):
    header = read_header(bundled / "backbone.gguf")
    width, vocabulary = header.tensors["token_embd.weight"].shape
    more = [
        pair("token_embd.weight", vocabulary, width, transposed=True),
        pair("token_embd.weight", width, vocabulary, transposed=True),
        pair("blk.0.attn_norm.weight", width, width),
        pair("output.weight", width, vocabulary),
    ]
    cases = [
        (lambda pairs: pairs, {}),
        *((change_pairs, options) for change_pairs, options, _ in FOREIGN.values()),
        *((lambda pairs, new=new: pairs | new, {}) for new in more),
    ]
    verdicts = []
    with Backbone(bundled / "backbone.gguf", Options()) as backbone:
        for number, (change_pairs, options) in enumerate(cases):
            lora = read_lora(other(bundled, tmp_path / f"{number}.gguf", change_pairs, **options))
            try:
                backbone.load_adapter(lora)
                loads = True
            except PackError:
                loads = False
            assert (not problems_of_fit(lora, header)) == loads, f"case {number}: {problems_of_fit(lora, header)}"
            verdicts.append(loads)
    assert verdicts == [True] + [False] * (len(cases) - 1)


def test_what_an_adapter_is_can_be_looked_at(bundled, tmp_path):
    header = read_header(bundled / "backbone.gguf")
    fit = inspect(bundled / "sql.gguf", header)
    assert fit.architecture == "llama"
    assert fit.ranks == (16,)
    assert fit.weights == ("attn_k", "attn_output", "attn_q", "attn_v", "ffn_down", "ffn_gate", "ffn_up")
    assert fit.size == (bundled / "sql.gguf").stat().st_size
    assert fit.problem == ""
    about = {"general.license": "mit", "general.base_model.0.name": "Qwen2.5"}
    foreign = inspect(other(bundled, tmp_path / "f.gguf", lambda pairs: pairs, arch="qwen2", values=about), header)
    assert (foreign.license, foreign.base_model) == ("mit", "Qwen2.5")
    assert "architecture qwen2" in foreign.problem
