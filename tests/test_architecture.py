"""The arrows between the rooms: a file imports lower floors only (docs/architecture.md)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dlp_local

ROOT = Path(dlp_local.__file__).parent.parent
GROUND = {"display", "errors", "files", "gguf_header", "lora_file", "records", "settings"}
MAY_IMPORT = {
    "display": set(),
    "errors": set(),
    "files": {"errors"},
    "gguf_header": {"errors"},
    "lora_file": {"errors", "gguf_header"},
    "records": {"errors"},
    "settings": {"errors"},
    "conversation": {"errors", "records", "settings"},
    "history": GROUND | {"conversation"},
    "export": {"conversation", "display", "errors", "files"},
    "routing": GROUND,
    "packs": GROUND,
    "engine": GROUND,
    "assistant": GROUND | {"conversation", "engine", "history", "packs", "routing"},
    "doctor": GROUND | {"assistant", "conversation", "engine", "packs", "routing"},
    "retraining": GROUND | {"assistant", "history", "conversation", "packs", "routing"},
    "terminal": {"display", "errors", "files", "records"},
    "commands": GROUND
    | {"assistant", "doctor", "retraining", "conversation", "export", "history", "packs", "terminal"},
    "cli": {"commands", "errors", "terminal"},
}
ONLY_IN = {
    "llama_cpp": {"dlp_local/engine/local/library.py"},
    "onnxruntime": {"dlp_local/routing/onnx_session.py"},
    "huggingface_hub": {"dlp_local/hub/client.py"},
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            if node.module in ("dlp_local", "dlp_local.packs"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", sources("dlp_local"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_lower_floors_only(path):
    room = path.relative_to(ROOT / "dlp_local").parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "dlp_local" and len(parts) > 1 and parts[1] in MAY_IMPORT:
            assert parts[1] == room or parts[1] in MAY_IMPORT[room], f"{path} imports {name}"


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_heavy_library_has_one_door(library):
    users = {
        path.relative_to(ROOT).as_posix()
        for path in sources("dlp_local", "tui")
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert users == ONLY_IN[library]


def test_the_terminal_ui_sees_only_the_assistant_and_the_ground_floor():
    for path in sources("tui"):
        for name in imports(path):
            parts = name.split(".")
            assert parts[0] not in (*ONLY_IN, "sqlite3"), f"{path} imports {name}"
            if parts[0] == "dlp_local" and len(parts) > 1 and parts[1] in MAY_IMPORT:
                assert parts[1] in GROUND | {"assistant", "conversation", "export", "history"}, f"{path} imports {name}"


def test_the_window_is_imported_without_the_engine_the_router_or_torch():
    code = (
        "import sys, tui, tui.app\n"
        "heavy = {'llama_cpp', 'onnxruntime', 'torch', 'onnx', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
