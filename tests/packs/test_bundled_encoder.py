"""A pack whose encoder is the bundled pack's."""

import pytest
import tomlkit

from dlp_local.core.errors import PackError
from dlp_local.hub.choice import parse_reference
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import verify_pack
from dlp_local.packs.create import copy_pack
from dlp_local.packs.fetch import fetch
from tests.support.hub_server import Repo


@pytest.fixture
def borrowing(pack_copy, monkeypatch):
    """A pack without an encoder in its folder."""
    document = tomlkit.parse((pack_copy / "pack.toml").read_text("utf-8"))
    document["name"] = "borrowing"
    for entry in (document["encoder"], document["encoder"]["tokenizer"]):
        (pack_copy / entry["file"]).unlink()
        entry["bundled"] = True
    (pack_copy / "pack.toml").write_text(tomlkit.dumps(document), "utf-8")
    return pack_copy


def test_the_encoder_is_read_where_the_bundled_pack_has_it(borrowing, bundled):
    pack = open_pack(borrowing)
    assert pack.path(pack.manifest.encoder) == bundled / "encoder.onnx"
    assert pack.path(pack.manifest.encoder.tokenizer) == bundled / "encoder_tokenizer.json"
    assert verify_pack(pack) == []


def test_another_encoder_than_the_pack_was_made_with_is_not_taken(borrowing):
    document = tomlkit.parse((borrowing / "pack.toml").read_text("utf-8"))
    document["encoder"]["sha256"] = "0" * 64
    (borrowing / "pack.toml").write_text(tomlkit.dumps(document), "utf-8")
    with pytest.raises(PackError, match=r"encoder\.onnx: is damaged or was changed"):
        open_pack(borrowing, only_routing=True)


def test_a_copy_has_an_encoder_of_its_own(borrowing):
    copy = open_pack(copy_pack("mine", borrowing))
    assert copy.path(copy.manifest.encoder).is_relative_to(copy.folder)
    assert verify_pack(copy) == []


def test_a_pack_of_the_hub_comes_without_it(borrowing, hub):
    hub.repos["ana/pack"] = Repo({path.name: path.read_bytes() for path in borrowing.iterdir()})
    fetched = fetch(parse_reference("hf:ana/pack"))
    assert "encoder.onnx" not in {file.path.name for file in fetched.files}
    assert verify_pack(open_pack(fetched.path)) == []
