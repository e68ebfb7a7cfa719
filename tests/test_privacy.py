"""docs/privacy.md names everything that is stored."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support import hub_server
from tests.support.hub_server import Repo

PAGE = (Path(__file__).parent.parent / "docs" / "privacy.md").read_text("utf-8")


def test_every_name_in_the_data_folder_is_on_the_page_and_nothing_is_left_elsewhere(bundled, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    data = home / "data"
    kept = {"DLP_LOCAL_DATA": str(data), "HOME": str(home), "USERPROFILE": str(home), "HF_HOME": str(home / "hf")}

    def run(*args, **more):
        command = [sys.executable, "-m", "dlp_local", *args]
        subprocess.run(command, check=True, capture_output=True, timeout=120, env={**os.environ, **kept, **more})

    with hub_server.running() as hub:
        files = {path.name: path.read_bytes() for path in bundled.iterdir()}
        files["pack.toml"] = files["pack.toml"].replace(b'name = "bundled"', b'name = "ana"')
        hub.repos["ana/pack"] = Repo(files)
        hub.repos["ana/model"] = Repo({"model.gguf": files["backbone.gguf"]})
        for name in hub.repos:
            run("pull", f"hf:{name}", HF_ENDPOINT=hub.url, NO_PROXY="*")
    run("ask", "--save", "--pack", "ana", "to ISO: 4 July 1999")
    run("doctor", "--json")
    run("route", "--why", "--pack", "ana", "hello")
    assert [path.name for path in home.iterdir()] == ["data"]
    table = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    named = {name.rstrip("/") for row in table for name in re.findall(r"`([^`]+)`", row)}
    stored = {path.name for path in data.iterdir()}
    assert {"history.db", "packs", "downloads", "verified", "embeddings"} <= stored
    assert stored <= named
