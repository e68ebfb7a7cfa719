"""What a user names as a backbone or an adapter."""

import pytest

from dlp_local.core.errors import InputError
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
