"""The program's own code asks for nothing that only Linux and macOS have without looking first."""

import ast
import os
import re
from pathlib import Path

import pytest

import dlp_local
from dlp_local.core import files

ROOT = Path(dlp_local.__file__).parent.parent
SOURCES = sorted(path for folder in ("dlp_local", "tui") for path in (ROOT / folder).rglob("*.py"))
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
POSIX_MODULES = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
POSIX_NAMES = {
    "os": "chown fchmod fork forkpty geteuid getegid getgid getgroups getpgid getuid killpg memfd_create mkfifo "
    "nice openpty posix_fadvise sched_getaffinity sched_setaffinity sendfile setsid statvfs sysconf uname",
    "signal": "SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGUSR1 SIGUSR2 SIGWINCH "
    "alarm pause pthread_kill pthread_sigmask setitimer sigwait",
    "mmap": "MADV_DONTNEED MADV_HUGEPAGE MAP_PRIVATE PROT_READ",
    "select": "poll epoll kqueue",
}
LOOKED = re.compile(r"sys\.platform|hasattr\(|os\.name")


def posix_names(path):
    """Each use of a name that Windows lacks, with whether the function that it stands in looks first."""
    tree = ast.parse(path.read_text("utf-8"))
    scopes = [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ast.Name(module), name) if name in POSIX_NAMES.get(module, "").split():
                around = [scope for scope in scopes if scope.lineno <= node.lineno <= scope.end_lineno]
                innermost = max(around, key=lambda scope: scope.lineno, default=tree)
                yield f"{module}.{name}", bool(LOOKED.search(ast.unparse(innermost)))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_windows_lacks_is_looked_for_before_it_is_used(path):
    assert not [name for name, looked in posix_names(path) if not looked]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_needs_a_module_of_posix_to_be_imported(path):
    tree = ast.parse(path.read_text("utf-8"))
    inside = {id(node) for scope in ast.walk(tree) if isinstance(scope, FUNCTIONS) for node in ast.walk(scope)}
    imported = set()
    for node in ast.walk(tree):
        if id(node) not in inside and isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            imported.update(name.partition(".")[0] for name in names)
    assert not imported & POSIX_MODULES


def test_windows_waits_for_a_file_that_another_program_looks_at(tmp_path, monkeypatch):
    """An indexer has the file open at first: the third try succeeds."""
    tries, replace = [], os.replace

    def busy_at_first(source, target):
        tries.append(source)
        if len(tries) < 3:
            raise PermissionError(13, "The process cannot access the file because it is being used by another process")
        replace(source, target)

    monkeypatch.setattr(files.sys, "platform", "win32")
    monkeypatch.setattr(files.os, "replace", busy_at_first)
    monkeypatch.setattr(files, "RENAME_PAUSES", (0, 0, 0))
    with files.written_aside(tmp_path / "a.txt") as part:
        part.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert len(tries) == 3
    tries.clear()
    monkeypatch.setattr(files.os, "replace", lambda source, target: replace(tmp_path / "none", target))
    with pytest.raises(FileNotFoundError):
        files.rename(tmp_path / "none", tmp_path / "b.txt")
