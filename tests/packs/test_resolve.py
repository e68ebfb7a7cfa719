"""What a user names as a backbone or an adapter."""

import shutil
import sys

import pytest

from dlp_local.core.errors import InputError
from dlp_local.hub.choice import parse_reference
from dlp_local.packs.catalogue import named_reference
from dlp_local.packs.resolve import resolve_adapter, resolve_backbone

FILE = "https://huggingface.co/ana/model-GGUF/resolve/main/model-Q4_0.gguf?download=true"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (FILE, "hf:ana/model-GGUF:model-Q4_0.gguf"),
        (FILE.replace("resolve", "blob"), "hf:ana/model-GGUF:model-Q4_0.gguf"),
        ("https://huggingface.co/ana/model-GGUF", "hf:ana/model-GGUF,"),
        ("http://example.org/model.gguf", "hf:owner/repo:file"),
        ("file:///tmp/model.gguf", "name the file"),
    ],
)
def test_an_address_of_a_page_is_told_by_the_name_that_it_has_here(tmp_path, address, name):
    with pytest.raises(InputError, match="is the address of a page") as refused:
        resolve_backbone(address)
    assert name in str(refused.value)
    with pytest.raises(InputError, match="is the address of a page"), resolve_adapter(address, tmp_path):
        pass
    for reads in (named_reference, parse_reference):
        with pytest.raises(InputError, match="is the address of a page"):
            reads(address)


def test_an_empty_name_names_nothing(tmp_path):
    with pytest.raises(InputError, match="an empty name names no file"):
        resolve_backbone("")
    with pytest.raises(InputError, match="an empty name names no file"), resolve_adapter("", tmp_path):
        pass


def test_a_folder_with_one_adapter_made_as_gguf_is_that_adapter(tmp_path, bundled):
    file = shutil.copyfile(bundled / "sql.gguf", tmp_path / "sql.gguf")
    with resolve_adapter(tmp_path, bundled / "backbone.gguf") as resolved:
        assert resolved.path == file
    (tmp_path / "other.gguf").write_bytes(b"")
    with (
        pytest.raises(InputError, match=r"several GGUF files\. Name one of them: other\.gguf, sql\.gguf"),
        resolve_adapter(tmp_path, bundled / "backbone.gguf"),
    ):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells a long name otherwise")
@pytest.mark.parametrize("name", ["x" * 300, "./" + "x" * 300 + "/y", "hf:ana/" + "x" * 300])
def test_a_name_that_no_file_system_takes_is_told(name, bundled):
    with pytest.raises(InputError), resolve_adapter(name, bundled / "backbone.gguf"):
        pass
    with pytest.raises(InputError):
        resolve_backbone(name)
