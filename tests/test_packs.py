"""Opening packs: everything that is wrong is said at once, by name."""

import os
import tomllib

import pytest

from dlp_local.errors import PackError
from dlp_local.packs import open_pack


def edit(pack, old, new):
    manifest = pack / "pack.toml"
    text = manifest.read_text("utf-8")
    assert old in text
    manifest.write_text(text.replace(old, new, 1), "utf-8")


def test_the_bundled_pack_opens_and_names_its_six_adapters(bundled):
    pack = open_pack(bundled)
    assert sorted(pack.manifest.adapters) == ["banking", "dates", "describe", "extract", "shell", "sql"]
    assert [file.name for file in pack.adapter_files()] == sorted(pack.manifest.adapters)


def test_every_file_of_the_bundled_pack_says_its_licence_and_attribution(bundled):
    for file in open_pack(bundled).manifest.files():
        assert file.licence
        assert file.attribution


def test_the_bundled_pack_is_at_most_40_mb(bundled):
    assert sum(file.stat().st_size for file in bundled.iterdir()) <= 40_000_000


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(PackError, match=r"pack\.toml: cannot be read .*--pack"):
        open_pack(tmp_path)


def test_missing_and_damaged_files_are_listed_together(pack_copy):
    (pack_copy / "sql.gguf").unlink()
    with (pack_copy / "backbone.gguf").open("r+b") as file:
        file.truncate(1000)
    (pack_copy / "router.onnx").write_bytes(b"something else")
    with pytest.raises(PackError) as caught:
        open_pack(pack_copy)
    message = str(caught.value)
    assert "sql.gguf: cannot be read" in message
    assert "backbone.gguf: is damaged" in message
    assert "router.onnx: is damaged" in message
    assert "shell.gguf" not in message


def test_one_changed_byte_is_noticed(pack_copy):
    path = pack_copy / "dates.gguf"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(PackError, match=r"dates\.gguf: is damaged or was changed"):
        open_pack(pack_copy)


def test_every_wrong_field_of_a_manifest_is_listed(pack_copy):
    edit(pack_copy, 'name = "bundled"', 'name = "Not A Name"')
    edit(pack_copy, "format = 1", "format = 9")
    with pytest.raises(PackError, match=r"(?s)format: .*name: "):
        open_pack(pack_copy)


@pytest.mark.parametrize("path", ["../secret.gguf", "/etc/passwd", "a/../../b", "..\\\\b", "", "C:/x", "a\\u0000b"])
def test_a_manifest_cannot_name_files_outside_its_folder(pack_copy, path):
    edit(pack_copy, 'file = "sql.gguf"', f'file = "{path}"')
    with pytest.raises(PackError, match="must be a file inside the pack's folder"):
        open_pack(pack_copy)


def test_a_manifest_that_is_no_toml_is_refused_with_the_place(pack_copy):
    (pack_copy / "pack.toml").write_text("format = = 1", "utf-8")
    with pytest.raises(PackError, match=r"not valid TOML .*line 1"):
        open_pack(pack_copy)


def test_an_adapter_called_base_is_refused(pack_copy):
    edit(pack_copy, "[adapters.sql]", "[adapters.base]")
    with pytest.raises(PackError, match="no adapter may be called 'base'"):
        open_pack(pack_copy)


def test_routing_alone_needs_only_its_own_files(pack_copy):
    (pack_copy / "backbone.gguf").unlink()
    assert open_pack(pack_copy, only_routing=True).name == "bundled"
    (pack_copy / "router.onnx").unlink()
    with pytest.raises(PackError, match=r"router\.onnx: cannot be read"):
        open_pack(pack_copy, only_routing=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_read_permission_is_named(pack_copy):
    (pack_copy / "sql.gguf").chmod(0)
    with pytest.raises(PackError, match=r"sql\.gguf: cannot be read \(Permission denied\)"):
        open_pack(pack_copy)


def test_the_manifest_is_plain_toml(bundled):
    assert tomllib.loads((bundled / "pack.toml").read_text("utf-8"))["format"] == 1
