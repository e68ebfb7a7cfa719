"""The arrows between the folders and inside them: a file imports lower floors only (docs/architecture.md)."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import dlp_local
from tools.listing import PAGE, listing

ROOT = Path(dlp_local.__file__).parent.parent
MAY_IMPORT = {
    "core": set(),
    "formats": {"core"},
    "hub": {"core", "formats"},
    "routing": {"core"},
    "history": {"core"},
    "packs": {"core", "formats", "hub"},
    "engine": {"core", "formats"},
    "another_answer": {"core", "engine"},
    "adapter_changes": {"core", "engine"},
    "answer_text": {"core", "engine", "another_answer"},
    "answer_parts": {"core"},
    "assistant": {"core", "engine", "packs", "routing", "adapter_changes", "answer_text", "answer_parts"},
    "asked_together": {"assistant"},
    "pack_router": {"core", "packs", "routing"},
    "opening": {"core", "engine", "packs", "routing", "history", "assistant", "pack_router"},
    "history_route": {"core", "routing", "assistant"},
    "server": {"core", "assistant", "history_route", "training"},
    "engine_command": {"core", "formats", "engine", "packs", "opening"},
    "conversation_turn": {"core", "history", "assistant"},
    "connect": {"core"},
    "remote_assistant": {"core"},
    "training": {
        *("core", "formats", "packs", "routing", "history", "engine"),
        *("assistant", "asked_together", "opening", "pack_router"),
    },
    "evaluation": {"core", "packs", "routing", "assistant", "asked_together", "history_route", "training"},
    "doctor": {"core", "formats", "engine", "packs", "routing", "assistant", "opening"},
    "cli": {
        *("core", "formats", "hub", "packs", "history", "training", "connect", "doctor"),
        *("assistant", "opening", "engine_command", "conversation_turn", "evaluation", "server"),
        *("remote_assistant", "tui"),
    },
    "tui": {
        *("core", "history", "training"),
        *("answer_parts", "assistant", "opening", "conversation_turn", "remote_assistant"),
    },
}
"""Folder, or file of `dlp_local`, → what its files may import beside each other."""

ONLY_IN = {
    "llama_cpp": {"dlp_local/engine/local/library.py"},
    "onnxruntime": {"dlp_local/routing/onnx_session.py"},
    "huggingface_hub": {"dlp_local/hub/client.py"},
}
MOST_LINES = 300


def sources(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules():
    return {module_name(path): path for path in sources("dlp_local", "tui")}


@cache
def imports(path):
    """Every module that a file imports, inside functions and for type checking, too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & modules().keys()
            found.update(inner or {node.module})
    return found


def floor(module):
    parts = module.split(".")
    return parts[1] if parts[0] == "dlp_local" and len(parts) > 1 else parts[0]


@pytest.mark.parametrize("path", sources("dlp_local", "tui"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_lower_floors_only(path):
    here = floor(module_name(path))
    if here in ("dlp_local", "__main__"):
        return
    for name in imports(path):
        there = floor(name)
        if there in MAY_IMPORT and there != here:
            assert there in MAY_IMPORT[here], f"{path} imports {name}"


def test_no_files_import_each_other_in_a_circle():
    arrows = {name: {other for other in imports(path) if other in modules()} for name, path in modules().items()}
    arrows["dlp_local"] = set()  # it imports what it exports when that is asked for
    done, open_ = set(), []

    def visit(name):
        assert name not in open_, f"a circle: {' → '.join([*open_[open_.index(name) :], name])}"
        if name not in done:
            open_.append(name)
            for other in sorted(arrows[name]):
                visit(other)
            done.add(open_.pop())

    for name in sorted(arrows):
        visit(name)


@pytest.mark.parametrize("path", sources("dlp_local", "tui"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_holds_one_idea(path):
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES


def test_the_assistant_knows_an_engine_by_its_interface_alone():
    engines = {name for name in imports(modules()["dlp_local.assistant"]) if floor(name) == "engine"}
    assert engines == {"dlp_local.engine.base"}


def test_the_engines_interface_and_prompts_do_not_know_llama_cpp():
    for name, path in modules().items():
        if name.startswith("dlp_local.engine.") and not name.startswith("dlp_local.engine.local"):
            assert not [other for other in imports(path) if other.startswith("dlp_local.engine.local")], name


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_heavy_library_has_one_door(library):
    users = {
        path.relative_to(ROOT).as_posix()
        for path in sources("dlp_local", "tui")
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert users == ONLY_IN[library]


def test_the_terminal_ui_opens_no_database_and_no_model():
    for path in sources("tui"):
        assert not {name.split(".")[0] for name in imports(path)} & {*ONLY_IN, "sqlite3"}, path


def test_widgets_and_screens_do_not_import_the_window_that_holds_them():
    for path in sources("tui/widgets"):
        assert not [name for name in imports(path) if name.startswith(("tui.app", "tui.screens", "tui.session"))], path


def test_the_window_is_imported_without_the_engine_the_router_or_torch():
    code = (
        "import sys, tui, tui.app\n"
        "heavy = {'llama_cpp', 'onnxruntime', 'torch', 'onnx', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


def test_the_window_has_adapters_trained_by_another_process_alone():
    used = {name for path in sources("tui") for name in imports(path) if floor(name) == "training"}
    assert used == {"dlp_local.training.adapter.events", "dlp_local.training.adapter.lessons"}
    code = f"import sys, {', '.join(sorted(used))}\nassert not {{'torch', 'transformers'}} & set(sys.modules)\n"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


def test_every_file_that_the_docs_name_is_there():
    named = re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py)", PAGE.read_text("utf-8"))
    assert named
    files = {path.relative_to(ROOT).as_posix() for path in sources("dlp_local", "tui", "tools", "tests")}
    assert not [name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files)]


def test_the_listing_in_the_docs_is_that_of_the_files():
    assert listing() in PAGE.read_text("utf-8"), "python -m tools.listing writes it anew"
