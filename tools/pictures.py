"""The pictures of the README and docs/chat.md: the real window on the SmolLM2 pack, as SVG.

    python -m tools.pictures --out docs

`--size 80x24 --theme textual-light` draws the same scenes for other terminals, to look at them.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from dlp_local.core.settings import Ui, load_settings
from dlp_local.history import History
from dlp_local.opening import open_assistant
from dlp_local.packs.default import pack_folder
from tui.app import ChatApp
from tui.widgets.prompt import Prompt

SIZE = "100x32"
SCENES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "chat": (
        (
            "find all pdf files larger than 10 MB in my home folder",
            "fix this JSON: {name: 'Ana', tags: ['a', 'b',]}",
            "play some jazz by Miles Davis on spotify\nevery weekday at half past eight",
        ),
        (),
    ),
    "routing": ((), ("f4",)),
    "conversations": ((), ("ctrl+o",)),
    "options": ((), ("f7",)),
    "help": ((), ("f1",)),
}
"""What is said, and which keys are pressed, for each picture, one after the other."""


async def draw(out: Path, size: tuple[int, int], theme: str) -> None:
    """Has one conversation and writes one picture for each scene."""
    settings = load_settings()
    pack = pack_folder("smollm2")
    app = ChatApp(lambda _: open_assistant(settings, pack), History(None), ui=Ui(theme=theme))
    try:
        async with app.run_test(size=size) as pilot:
            await _until(pilot, lambda: app.session.status.phase == "ready")
            for name, (messages, keys) in SCENES.items():
                for message in messages:
                    await _say(pilot, app, message)
                await pilot.press(*keys)
                await pilot.pause(0.5)
                (out / f"{name}.svg").write_text(app.export_screenshot(title="dlp-local chat"), "utf-8")
                if keys:
                    await pilot.press("escape")
    finally:
        app.session.close()


async def _say(pilot: Pilot[None], app: ChatApp, message: str) -> None:
    told = len(app.session.history_messages)
    app.query_one(Prompt).fill(message)
    await pilot.press("enter")
    await _until(pilot, lambda: len(app.session.history_messages) > told and not app.session.busy)


async def _until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    while not condition():
        await pilot.pause(0.05)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/pictures"))
    parser.add_argument("--size", default=SIZE, help="columns x rows")
    parser.add_argument("--theme", default="textual-dark")
    args = parser.parse_args()
    columns, rows = map(int, args.size.split("x"))
    args.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw(args.out, (columns, rows), args.theme))


if __name__ == "__main__":
    main()
