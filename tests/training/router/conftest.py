"""Rows to train on, as a file; a small trained router, and its file."""

from pathlib import Path

import pytest

from dlp_local.training.router.fit import fit_router
from tests.support.clusters import clusters
from tests.support.router_rows import rows_of, write_rows


@pytest.fixture(autouse=True)
def embeddings_of_earlier_tests(caches_of_earlier_tests):
    """Of the background messages, which each training needs."""


@pytest.fixture
def rows(tmp_path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", rows_of())


@pytest.fixture(scope="session")
def trained():
    return fit_router(*clusters(400, 0), held_out=clusters(600, 1))


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("router") / "router.onnx"
    trained.write(path, "a test encoder")
    return path
