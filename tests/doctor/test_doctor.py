"""`dlp-local doctor`: the bundled pack is well, and each thing that is not is found without losing the rest."""

import json
import os
import re
import subprocess
import sys
from importlib import metadata

import pytest
import tomlkit

from dlp_local.core.paths import config_file
from dlp_local.core.settings import Settings
from dlp_local.core.values import AdapterChange
from dlp_local.doctor import run_checks
from dlp_local.doctor.checks import machine
from dlp_local.doctor.checks.packs import check_pack
from dlp_local.packs.adapters import add_adapter, set_adapter
from dlp_local.packs.create import start_pack

COMMAND = [sys.executable, "-m", "dlp_local", "doctor"]


def run(*args, **env):
    return subprocess.run([*COMMAND, *args], capture_output=True, timeout=120, env={**os.environ, **env})


def report(*args, **env):
    process = run(*args, "--json", **env)
    assert b"Traceback" not in process.stderr
    found = json.loads(process.stdout)
    assert (process.returncode == 0) == found["well"]
    assert found["well"] == all(check["well"] for check in found["checks"])
    return {check["name"]: check for check in found["checks"]}


def edit(pack, change):
    document = tomlkit.parse((pack / "pack.toml").read_text("utf-8"))
    document["name"] = "mine"
    change(document)
    (pack / "pack.toml").write_text(tomlkit.dumps(document), "utf-8")


def found_in(pack):
    return {check.name: check for check in check_pack(pack, Settings(), None)}


def test_the_bundled_pack_is_well_and_answers():
    process = run()
    said = process.stdout.decode()
    assert process.returncode == 0, said
    assert said.endswith("All is well.\n")
    assert re.search(r"bundled: examples: (\d+) of \1 go to their adapter", said)
    assert "'tar: extract archive.tar.gz into /tmp' went to shell 1.00 and gave 'tar " in said
    assert "tok/s" in said
    assert "wrong" not in said


def test_the_report_names_the_versions_and_what_llama_cpp_can_use():
    checks = report()
    assert metadata.version("llama-cpp-python") in checks["llama.cpp"]["detail"]
    assert "CPU" in checks["llama.cpp"]["detail"]
    assert f"onnxruntime {metadata.version('onnxruntime')}" in checks["packages"]["detail"]
    assert all(not check["next"] for check in checks.values())


def test_a_damaged_pack_fails_and_the_report_is_still_whole(pack_copy):
    (pack_copy / "sql.gguf").write_bytes(b"damaged")
    edit(pack_copy, lambda document: None)
    checks = report("--pack", str(pack_copy))
    assert "sql.gguf: is damaged" in checks["mine: files"]["detail"]
    assert checks["mine: files"]["next"]
    assert not checks["answer"]["well"]
    assert "sql.gguf" in checks["answer"]["detail"]
    assert checks["bundled: examples"]["well"]
    text = run("--pack", str(pack_copy))
    assert text.returncode == 1
    assert text.stdout.decode().endswith(f"2 of {len(checks)} checks are not well.\n")


def test_a_pack_that_is_not_there_fails_and_the_report_is_still_whole():
    checks = report("--pack", "nowhere")
    assert "'nowhere': there is no pack of that name" in checks["pack in use"]["detail"]
    assert checks["bundled: router"]["well"]


def test_a_manifest_that_cannot_be_read_is_a_finding(pack_copy):
    (pack_copy / "pack.toml").write_text("format = = 1")
    found = found_in(pack_copy)
    assert list(found) == ["pack pack"]
    assert "is not valid TOML" in found["pack pack"].detail


def test_a_file_is_read_anew_even_where_it_was_found_sound_before(pack_copy):
    edit(pack_copy, lambda document: None)
    path = pack_copy / "dates.gguf"
    before = path.stat()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns - 10**11))
    assert found_in(pack_copy)["mine: files"].is_well
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not found_in(pack_copy)["mine: files"].is_well


def test_an_adapter_without_examples_is_drift(pack_copy):
    edit(pack_copy, lambda document: document["adapters"]["sql"].pop("examples"))
    found = found_in(pack_copy)
    assert found["mine: router"].is_well
    assert not found["mine: examples"].is_well
    assert found["mine: examples"].detail == "9 of 9 go to their adapter; without examples: sql"
    assert "adapters set NAME --examples FILE" in found["mine: examples"].next_step


def test_an_adapter_that_neither_examples_nor_the_router_know_gets_no_message_and_that_is_told(pack_copy):
    def add(document, **more):
        document["adapters"]["cooking"] = {**document["adapters"]["sql"], **more}
        if not more:
            document["adapters"]["cooking"].pop("examples")

    edit(pack_copy, add)
    found = found_in(pack_copy)["mine: examples"]
    assert not found.is_well
    assert "without examples: cooking; so no message goes to cooking" in found.detail
    assert "adapters set NAME --examples FILE" in found.next_step
    edit(pack_copy, lambda document: add(document, examples=["boil an egg", "how long does rice cook?"]))
    found = found_in(pack_copy)
    assert found["mine: examples"].is_well
    assert found["mine: router"].detail == "knows banking, cooking, dates, describe, extract, shell, sql"


def test_in_a_pack_without_a_router_examples_are_what_counts(bundled, tmp_path):
    folder = start_pack("fresh", bundled / "backbone.gguf")
    add_adapter(folder, bundled / "sql.gguf", "sql")
    found = found_in(folder)
    assert found["fresh: router"].detail == "knows nothing but base"
    assert "so no message goes to sql" in found["fresh: examples"].detail
    (tmp_path / "sql.txt").write_text("how many players are from Norway?")
    set_adapter(folder, "sql", AdapterChange(examples=tmp_path / "sql.txt"))
    assert all(check.is_well for check in found_in(folder).values())


def test_examples_that_go_elsewhere_are_drift_and_quoted(pack_copy):
    astray = ["to ISO: the 3rd of February 2021"] * 7
    edit(pack_copy, lambda document: document["adapters"]["sql"].update(examples=astray))
    detail = found_in(pack_copy)["mine: examples"].detail
    assert detail.startswith("9 of 16 go to their adapter; 'to ISO: the 3rd of February 2021' of sql goes to dates (")
    assert detail.endswith("and 2 more")
    assert "router train --examples" in found_in(pack_copy)["mine: examples"].next_step


def test_an_adapter_that_only_the_router_knows_is_drift(pack_copy):
    edit(pack_copy, lambda document: document["adapters"].pop("sql"))
    found = found_in(pack_copy)["mine: router"]
    assert not found.is_well
    assert found.detail == "it knows sql, which the pack does not have"
    assert "router train" in found.next_step


def test_a_router_that_is_switched_off_for_an_adapter_is_no_drift(pack_copy):
    edit(pack_copy, lambda document: document["adapters"]["sql"].update(enabled=False))
    assert all(check.is_well for check in found_in(pack_copy).values())


def test_a_router_that_does_not_open_is_a_finding(pack_copy):
    def broken(document):
        document["router"]["file"] = "encoder.onnx"
        document["router"]["sha256"] = document["encoder"]["sha256"]
        document["router"].pop("size", None)

    edit(pack_copy, broken)
    found = found_in(pack_copy)
    assert found["mine: files"].is_well
    assert "not a router" in found["mine: router"].detail


def test_a_pack_that_does_not_fit_the_memory_is_told(pack_copy, monkeypatch):
    edit(pack_copy, lambda document: None)
    memory = machine.psutil.virtual_memory()
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: memory._replace(available=50_000_000))
    found = found_in(pack_copy)["mine: memory"]
    assert not found.is_well
    assert "and 50.0 MB are free" in found.detail
    assert "Close other programs" in found.next_step


def test_a_full_disk_is_told(monkeypatch):
    usage = machine.shutil.disk_usage(".")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage._replace(free=1_000))
    assert not machine.disk().is_well


def test_a_missing_package_and_one_too_old_are_told(monkeypatch):
    real = metadata.version

    def version(name):
        if name == "textual":
            raise metadata.PackageNotFoundError
        return "1.0" if name == "numpy" else real(name)

    monkeypatch.setattr(machine.metadata, "version", version)
    check = machine.packages()
    assert not check.is_well
    assert "textual is not installed" in check.detail
    assert "numpy 1.0 is there, numpy>=1.26 is needed" in check.detail


@pytest.mark.parametrize("end", ["import os; os.abort()", "raise ImportError('libgomp.so.1: cannot open')"])
def test_a_llama_cpp_that_this_machine_cannot_run_is_told_and_the_report_is_still_whole(tmp_path, end):
    (tmp_path / "llama_cpp").mkdir()
    (tmp_path / "llama_cpp" / "__init__.py").write_text(end)
    checks = report(PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert "llama.cpp cannot be loaded" in checks["llama.cpp"]["detail"]
    assert not checks["answer"]["well"]
    assert checks["bundled: examples"]["well"]


def test_settings_that_cannot_be_read_are_a_finding():
    config_file().write_text("[engine]\ncontext = 1\n")
    checks = {check.name: check for check in run_checks()}
    assert "engine.context" in checks["settings"].detail
    assert not checks["settings"].is_well
    assert checks["answer"].is_well


def test_what_a_pack_says_cannot_steer_the_terminal(pack_copy):
    edit(pack_copy, lambda document: document["adapters"]["sql"].update(examples=["\x1b[31mred"]))
    assert b"\x1b" not in run("--pack", str(pack_copy)).stdout


def test_a_context_above_the_trained_length_is_a_finding(pack_copy):
    edit(pack_copy, lambda document: document["backbone"].update(context=65536))
    check = found_in(pack_copy)["mine: context"]
    assert not check.is_well
    assert "a context of 65536 tokens is asked for, and the backbone was trained for" in check.detail
