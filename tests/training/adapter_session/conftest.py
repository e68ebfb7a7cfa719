"""A pack of the user's own, and rows that its small backbone learns in seconds."""

import json
import random

import pytest

from dlp_local.packs.create import copy_pack
from tests.support.kept_caches import kept_caches

WORDS = "apple river stone cloud garden window pencil bottle candle forest market silver yellow winter".split()


def rows_file(path, count=20, seed=0):
    """Words to be written in capitals."""
    draw = random.Random(seed)
    texts = {" ".join(draw.sample(WORDS, 2)) for _ in range(4 * count)}
    rows = [{"prompt": f"Write in capitals: {text}", "answer": text.upper()} for text in sorted(texts)[:count]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def rows(tmp_path):
    return rows_file(tmp_path / "rows.jsonl")


@pytest.fixture(scope="module")
def shared_data(tmp_path_factory, caches):
    """A data folder for all tests of a file, with the embeddings that earlier ones made."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("DLP_LOCAL_DATA", str(folder))
        with kept_caches(caches):
            yield folder


@pytest.fixture
def in_shared_data(shared_data, no_settings_of_the_machine, monkeypatch):
    """The test goes on in the data folder of its file."""
    monkeypatch.setenv("DLP_LOCAL_DATA", str(shared_data))


@pytest.fixture(scope="module")
def shared_pack(shared_data, bundled):
    """A copy of the bundled pack for all tests of a file."""
    return copy_pack("mine", bundled)
