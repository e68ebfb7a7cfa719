"""What the configuration of an adapter of MLX's says: followed as MLX does, or refused with the reason."""

import pytest

from dlp_local.core.errors import PackError
from dlp_local.formats.peft.convert import convert_lora
from dlp_local.formats.peft.folder import lora_folder, read_folder
from tests.support.peft_folder import write_config


@pytest.mark.parametrize(
    ("parameters", "strength"),
    [
        ({"rank": 8, "scale": 20.0, "dropout": 0.0}, 160),
        ({"rank": 8, "scale": 10.0, "alpha": 16.0, "dropout": 0.0}, 160),  # until the end of 2024
        ({"rank": 2, "scale": 1.0, "keys": ["self_attn.q_proj"]}, 2),
    ],
)
def test_the_scale_of_mlx_is_that_of_the_product(tmp_path, parameters, strength):
    folder = write_config(tmp_path / "mlx", {"fine_tune_type": "lora", "num_layers": 4, "lora_parameters": parameters})
    (folder / "adapters.safetensors").write_bytes(b"")
    config = read_folder(folder).config
    assert config.rank("any") == parameters["rank"]
    assert config.strength("any") == strength


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"fine_tune_type": "dora", "lora_parameters": {"rank": 8, "scale": 20.0}}, "it is a DoRA"),
        ({"fine_tune_type": "full", "lora_parameters": {}}, "all weights of a model.*`mlx_lm.fuse`.*pack create"),
        ({"fine_tune_type": ["x"], "lora_parameters": {}}, "not known here"),
        ({"fine_tune_type": "lora", "lora_parameters": {"rank": 8}}, "lora_parameters.scale: is missing"),
        ({"lora_parameters": {"rank": 0, "scale": 1}}, "lora_parameters.rank: 0 cannot be used"),
        ({"lora_layers": 4}, "lora_parameters: is missing"),
    ],
)
def test_what_mlx_saves_beside_plain_loras_is_refused_with_the_reason(tmp_path, backbone, config, reason):
    with pytest.raises(PackError, match=reason):
        convert_lora(write_config(tmp_path / "mlx", config), backbone, tmp_path / "a.gguf")


def test_a_configuration_of_unknown_kind_beside_weights_of_mlx_is_taken_as_one(tmp_path, backbone):
    folder = write_config(tmp_path / "mlx", {"rank": 8, "alpha": 0.1, "dropout": 0.1})
    (folder / "adapters.safetensors").write_bytes(b"")
    with pytest.raises(PackError, match="lora_parameters: is missing"):
        convert_lora(folder, backbone, tmp_path / "a.gguf")


@pytest.mark.parametrize("named", [".", "0000100_adapters.safetensors", "adapter_config.json"])
def test_of_checkpoints_of_mlx_alone_the_newest_is_named(tmp_path, named):
    folder = write_config(tmp_path / "mlx", {"lora_parameters": {"rank": 8, "scale": 20.0}})
    for step in (100, 1000, 200):
        (folder / f"{step:07d}_adapters.safetensors").write_bytes(b"")
    told = r"The newest is 0001000_adapters\.safetensors: copy it to adapters\.safetensors\."
    with pytest.raises(PackError, match=told):
        read_folder(lora_folder(folder / named))
    (folder / "adapter_config.json").unlink()
    with pytest.raises(PackError, match=r"an adapter of MLX's without its adapter_config\.json"):
        read_folder(folder)


def test_the_first_months_of_mlx_are_told_apart(tmp_path, backbone):
    folder = write_config(tmp_path / "mlx", {"lora_parameters": {"rank": 8, "scale": 20.0}})
    (folder / "adapters.npz").write_bytes(b"")
    with pytest.raises(PackError, match=r"holds adapters\.npz.*mlx-lm"):
        convert_lora(folder, backbone, tmp_path / "a.gguf")
