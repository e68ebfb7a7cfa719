"""What is given as a backbone is judged by its header: a file that no answer can come from is refused by its kind."""

import pytest

from dlp_local.core.errors import PackError
from dlp_local.formats.gguf import read_header
from dlp_local.packs.backbone_kind import check_backbone, context_notice, trained_context
from dlp_local.packs.create import start_pack
from dlp_local.packs.locations import user_packs
from tests.support.gguf_files import write_gguf

DECODER = ("token_embd.weight", "blk.0.attn_q.weight")
KINDS = {
    "adapter": ("llama", {"general.type": "adapter"}, ["blk.0.attn_q.weight.lora_a"], "an adapter, .*adapters add"),
    "projector": ("clip", {"general.type": "mmproj"}, ["v.patch_embd.weight"], "a projector"),
    "old projector": ("clip", {}, ["v.patch_embd.weight"], "a projector"),
    "importance matrix": ("imatrix", {"general.type": "imatrix"}, ["blk.0.attn_q.weight.in_sum2"], "an importance"),
    "vocabulary": ("llama", {"tokenizer.ggml.model": "llama"}, [], "a vocabulary without a model"),
    "another kind": ("other", {"general.type": "telepathy"}, ["a.weight"], "GGUF of the kind 'telepathy'"),
    "image model": ("flux", {"general.type": "diffusion"}, ["img_in.weight"], r"an image or video model \(flux\)"),
    "old image model": ("sd1", {}, ["model.diffusion_model.out.weight"], r"an image or video model \(sd1\)"),
    "image model without a name": (None, {}, ["first_stage_model.x"], r"an image or video model \(Stable Diffusion\)"),
    "CLIP": ("clip", {"clip.has_text_encoder": True}, ["t.token_embd.weight"], "CLIP, an encoder of images and texts"),
    "Whisper": ("whisper", {}, ["decoder.token_embedding.weight"], r"a speech recognizer \(whisper\)"),
    "voice": (
        "wavtokenizer-dec",
        {"wavtokenizer-dec.attention.causal": False},
        DECODER,
        r"a part of a speech synthesizer \(wavtokenizer-dec\)",
    ),
    "diffusion of words": ("llada", {"llada.attention.causal": False}, DECODER, r"a diffusion language model \("),
    "reranker": ("qwen3", {"qwen3.pooling_type": 4}, DECODER, r"a reranker \(qwen3\)"),
    "no architecture": (None, {}, DECODER, r"no language model\."),
    "encoder": ("bert", {"bert.attention.causal": False}, DECODER, r"an encoder \(bert\)"),
    "embedding model": ("qwen3", {"qwen3.pooling_type": 3}, DECODER, r"an encoder \(qwen3\)"),
    "embedding model that does not say so": ("gemma-embedding", {}, DECODER, r"an encoder \(gemma-embedding\)"),
    "reranker of an encoder": ("bert", {"bert.pooling_type": 4}, DECODER, r"a reranker \(bert\)"),
    "encoder of t5": ("t5encoder", {}, ["token_embd.weight", "enc.blk.0.attn_q.weight"], r"an encoder \(t5encoder\)"),
    "encoder-decoder": (
        "t5", {}, ["token_embd.weight", "enc.blk.0.attn_q.weight", "dec.blk.0.attn_q.weight"],
        r"an encoder-decoder \(t5\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_no_decoder_starts_no_pack_and_is_called_what_it_is(tmp_path, kind):
    architecture, values, tensors, reason = KINDS[kind]
    path = write_gguf(tmp_path / "given.gguf", architecture, values, tensors)
    with pytest.raises(PackError, match=rf"given\.gguf: is {reason}"):
        start_pack("fresh", path)
    assert user_packs() == []


def test_a_model_of_no_layers_starts_no_pack(tmp_path):
    path = write_gguf(tmp_path / "given.gguf", "llama", {"llama.block_count": 0}, DECODER)
    with pytest.raises(PackError, match=r"given\.gguf: cannot be used: llama\.block_count is 0"):
        start_pack("fresh", path)
    assert user_packs() == []


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("renamed", [True, False])
def test_any_part_of_a_split_model_is_refused_with_the_command_that_merges_it(tmp_path, number, renamed):
    name = "other.gguf" if renamed else f"model-{number + 1:05d}-of-00003.gguf"
    architecture = "llama" if number == 0 else None  # only the first part has the model's own values
    values = {"split.no": number, "split.count": 3, "split.tensors.count": 6}
    path = write_gguf(tmp_path / name, architecture, values, DECODER)
    with pytest.raises(PackError, match=rf"is part {number + 1} of 3 of one model") as caught:
        start_pack("fresh", path)
    first = "FIRST-PART.gguf" if renamed else f"{tmp_path}/model-00001-of-00003.gguf"
    whole = "WHOLE.gguf" if renamed else f"{tmp_path}/model.gguf"
    assert f"llama-gguf-split --merge {first} {whole}" in str(caught.value)


def test_the_parts_that_are_missing_beside_a_part_are_named(tmp_path):
    parts = [
        write_gguf(tmp_path / f"m-0000{n + 1}-of-00003.gguf", None, {"split.no": n, "split.count": 3}, DECODER)
        for n in range(3)
    ]
    with pytest.raises(PackError) as caught:
        start_pack("fresh", parts[1])
    assert "issing" not in str(caught.value)
    parts[2].unlink()
    with pytest.raises(PackError, match=r"is part 2 of 3 .*Missing beside it: m-00003-of-00003\.gguf\. Get what is"):
        start_pack("fresh", parts[1])
    parts[0].unlink()
    with pytest.raises(PackError, match=r"Missing beside it: m-00001-of-00003\.gguf and 1 more\."):
        start_pack("fresh", tmp_path)


def test_a_model_in_one_part_is_whole(tmp_path):
    path = write_gguf(tmp_path / "whole.gguf", "llama", {"split.no": 0, "split.count": 1}, DECODER)
    check_backbone(read_header(path), path, "whole.gguf")


@pytest.mark.parametrize(
    "values", [{}, {"general.type": "model"}, {"llama.pooling_type": 0}, {"llama.attention.causal": True}]
)
def test_a_decoder_is_a_backbone(tmp_path, values):
    path = write_gguf(tmp_path / "model.gguf", "llama", values, DECODER)
    check_backbone(read_header(path), path, "model.gguf")


@pytest.mark.parametrize(("wanted", "told"), [(1281, True), (8192, True), (1280, False), (512, False), (None, False)])
def test_a_context_above_the_trained_length_is_told_with_both_numbers(tmp_path, wanted, told):
    path = write_gguf(tmp_path / "short.gguf", "llama", {"llama.context_length": 1280}, DECODER)
    assert trained_context(path) == 1280
    notice = context_notice(path, wanted)
    assert bool(notice) == told
    if told:
        assert str(wanted) in notice
        assert "trained for 1280" in notice


def test_a_backbone_that_states_no_length_has_nothing_to_be_told(tmp_path):
    path = write_gguf(tmp_path / "mute.gguf", "llama", {}, DECODER)
    assert trained_context(path) is None
    assert context_notice(path, 100_000) == ""
