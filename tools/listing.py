"""`python -m tools.listing` writes the listing in docs/architecture.md, made of each file's own first line."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- listing: python -m tools.listing -->\n", "<!-- end of listing -->\n"
FLOORS = (
    *("core", "formats", "hub", "routing", "history", "packs", "engine"),
    *("another_answer.py", "answer_text.py", "answer_parts.py", "assistant.py", "opening.py"),
    *("conversation_turn.py", "training", "evaluation", "connect", "remote_assistant", "doctor", "cli"),
)
"""The folders and files of `dlp_local`, each below those that may import it."""

COLUMN = 34


def purpose(file: Path) -> str:
    """The first line of a file's docstring, without its full stop."""
    docstring = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return docstring.partition("\n")[0].removesuffix(".")


def lines(folder: Path, depth: int) -> list[str]:
    """A folder and what is in it, one line each, indented by its depth."""
    head = f"{'  ' * depth}{folder.name}/"
    listed = [f"{head:<{COLUMN}}{purpose(folder / '__init__.py')}"]
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name)):
        if path.is_dir() and (path / "__init__.py").exists():
            listed += lines(path, depth + 1)
        elif path.suffix == ".py" and not path.name.startswith("__"):
            listed.append(_file(path, depth + 1))
    return listed


def _file(path: Path, depth: int) -> str:
    name = f"{'  ' * depth}{path.name}"
    return f"{name:<{COLUMN}}{purpose(path)}"


def listing(root: Path = ROOT) -> str:
    """The whole listing as a Markdown block between its marks."""
    listed = ["dlp_local/"]
    for name in FLOORS:
        path = root / "dlp_local" / name
        listed += lines(path, 1) if path.is_dir() else [_file(path, 1)]
    listed += lines(root / "tui", 0)
    return BEGIN + "```\n" + "\n".join(line.rstrip() for line in listed) + "\n```\n" + END


def main() -> None:
    """Writes the listing into the page."""
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + listing() + after, "utf-8")


if __name__ == "__main__":
    main()
