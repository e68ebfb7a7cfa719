"""The built wheel, installed by itself into an empty environment, works from another folder and opens no socket."""

import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NO_NETWORK = """
import socket
def refuse(*args, **kwargs):
    raise AssertionError("a socket was opened")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    pytest.importorskip("build", reason="needs the test extra")
    pytest.importorskip("hatchling", reason="needs the test extra")
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("runs in a checkout only")
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return next(out.glob("*.whl"))


def test_the_wheel_contains_the_product_and_its_packs_and_nothing_else(wheel):
    assert wheel.stat().st_size <= 95_000_000
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"dlp_local", "tui"}
    for needed in (
        "dlp_local/bundled/pack.toml",
        "dlp_local/bundled/backbone.gguf",
        "dlp_local/smollm2/pack.toml",
        "dlp_local/smollm2/shell.gguf",
        "dlp_local/catalogue.toml",
        "tui/app.tcss",
        "dlp_local/server/page/index.html",
        "dlp_local/server/page/page.js",
        "dlp_local/server/page/page.css",
    ):
        assert needed in names


def test_the_installed_wheel_answers_offline_from_another_folder(wheel, tmp_path):
    home = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, timeout=300)
    scripts = home / ("Scripts" if sys.platform == "win32" else "bin")
    install = [scripts / "python", "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(list(map(str, install)), check=True, capture_output=True, timeout=300)
    # The libraries come from the environment that runs the tests; the product comes from the wheel alone.
    packages = Path(
        sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}, scheme=_venv_scheme())
    )
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "libraries.pth").write_text("\n".join(libraries), "utf-8")
    (packages / "sitecustomize.py").write_text(NO_NETWORK, "utf-8")
    command = [str(scripts / "dlp-local"), "ask", "to ISO: the 3rd of February 2021"]
    environment = {"PATH": str(scripts), "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=120)
    assert process.stdout.decode().split() == ["2021-02-03"], process.stderr.decode()
    command = [str(scripts / "dlp-local"), "pack", "list", "--json"]
    process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=120)
    packs = [json.loads(line) for line in process.stdout.splitlines()]
    assert [pack["name"] for pack in packs] == ["smollm2", "bundled"], process.stderr.decode()
    assert not any("problem" in pack for pack in packs)


def _venv_scheme() -> str:
    return "venv" if "venv" in sysconfig.get_scheme_names() else sysconfig.get_default_scheme()
