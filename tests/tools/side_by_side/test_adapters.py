"""Adapters side by side, and their PEFT folders."""

import json

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from tools.side_by_side.adapters import AdapterBank  # noqa: E402


def test_a_saved_adapter_is_read_back_as_it_was_to_half_precision(bank, tmp_path):
    bank.save("two", tmp_path / "two", (1, 40, 41))
    other = AdapterBank(("first", "second"), bank.shape, 4)
    other.load("second", tmp_path / "two")
    for name, tensor in bank.tensors.items():
        torch.testing.assert_close(other.tensors[name][:, 1], tensor[:, 1], atol=1e-3, rtol=1e-3)
    config = json.loads((tmp_path / "two" / "adapter_config.json").read_text("utf-8"))
    assert (config["r"], config["lora_alpha"], config["alora_invocation_tokens"]) == (4, 8, [1, 40, 41])


def test_an_adapter_of_a_smaller_rank_fills_a_part_of_the_banks_rank(bank, tmp_path):
    bank.start("one", 2, seed=0)
    bank.save("one", tmp_path / "one")
    state = bank.state("one")
    key = "base_model.model.model.layers.0.self_attn.k_proj"
    assert state[f"{key}.lora_A.weight"].shape == (2, bank.shape.hidden)
    assert state[f"{key}.lora_B.weight"].shape == (bank.shape.kv_heads * bank.shape.head, 2)
    assert not bank.tensors["qkv.a"][:, 0, 2:4].any()


def test_a_new_adapter_changes_nothing_until_it_is_trained(backbone):
    bank = AdapterBank(("fresh",), backbone.shape, 4)
    assert not any(tensor.any() for name, tensor in bank.tensors.items() if name.endswith(".b"))


def test_an_adapter_of_another_scale_is_refused(bank, tmp_path):
    bank.save("one", tmp_path / "one")
    config = tmp_path / "one" / "adapter_config.json"
    config.write_text(config.read_text("utf-8").replace('"lora_alpha": 8', '"lora_alpha": 16'), "utf-8")
    with pytest.raises(ValueError, match="alpha 16 is not twice its rank 4"):
        bank.load("one", tmp_path / "one")


def test_a_rank_that_the_bank_has_no_room_for_is_refused(bank):
    with pytest.raises(ValueError, match="rank 5 is not between 1 and 4"):
        bank.start("one", 5, seed=0)
