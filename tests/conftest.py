"""Fixtures on the bundled pack, which every test may use as it is."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import hypothesis
import pytest

from dlp_local import open_assistant
from dlp_local.core.settings import Settings
from dlp_local.packs import bundled_pack
from dlp_local.packs.create import copy_pack
from tests.support import hub_server
from tests.support.kept_caches import kept_caches

hypothesis.settings.register_profile("busy machines", deadline=None)
hypothesis.settings.load_profile("busy machines")


def _hide_the_machine(monkeypatch, folder):
    """Neither the user's config file nor what is stored or installed changes what a test sees, nor does it add to it.

    The pack is the bundled one, also where the backbone of the preferred one is installed.
    """
    monkeypatch.setenv("DLP_LOCAL_PACK", "bundled")
    config = folder.with_name(f"{folder.name}-config.toml")  # beside the folder, which is a test's own
    config.touch()
    monkeypatch.setenv("DLP_LOCAL_CONFIG", str(config))
    monkeypatch.setenv("DLP_LOCAL_DATA", str(folder / "data-of-the-test"))


@pytest.fixture(autouse=True, scope="session")
def no_settings_of_the_machine_for_what_tests_share(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        _hide_the_machine(monkeypatch, tmp_path_factory.mktemp("shared"))
        yield


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch, tmp_path):
    _hide_the_machine(monkeypatch, tmp_path)


@pytest.fixture(scope="session")
def caches(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.fixture
def caches_of_earlier_tests(no_settings_of_the_machine, caches):
    """Hashes of packs and embeddings of texts that an earlier test of this kind has computed."""
    with kept_caches(caches):
        yield


@pytest.fixture(scope="session")
def bundled() -> Path:
    """The folder of the bundled pack."""
    return bundled_pack()


@pytest.fixture
def pack_copy(bundled, tmp_path) -> Path:
    """A copy of the bundled pack that a test may damage."""
    return Path(shutil.copytree(bundled, tmp_path / "pack"))


@pytest.fixture(scope="session")
def assistant(bundled):
    """One assistant on the bundled pack for all tests that leave it as it was."""
    with open_assistant(Settings(), bundled) as opened:
        yield opened


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """The seconds that downloads would have waited; nothing is waited for."""
    seconds: list[float] = []
    monkeypatch.setattr("dlp_local.hub.download.time", SimpleNamespace(sleep=seconds.append))
    return seconds


@pytest.fixture
def hub(monkeypatch, waits):
    """A hub on loopback that the program is pointed at."""
    with hub_server.running() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


@pytest.fixture
def model(hub, bundled) -> bytes:
    """The bundled backbone in a repository of the hub, `hub_server.MODEL`."""
    content = (bundled / "backbone.gguf").read_bytes()
    hub.repos["ana/model-GGUF"] = hub_server.Repo({"model-Q4_0.gguf": content, "README.md": b"# Model"})
    return content


@pytest.fixture
def mine(bundled) -> Path:
    """A pack of the user's own, made from the bundled one."""
    return copy_pack("mine", bundled)
