"""Every screen as it stands on the smallest terminal, character by character, and readable under every theme.

`DLP_LOCAL_UPDATE_SNAPSHOTS=1 pytest tests/tui/test_snapshots.py` writes them anew, to look at in the diff.
"""

import os
import re
from pathlib import Path

import pytest
from rich.color import blend_rgb

from tests.support.fakes import Answer, FakeAssistant
from tests.tui.window import window

SNAPSHOTS = Path(__file__).parent / "snapshots"
MARKDOWN = """# Totals

There are **two** ways:

- one
- `other`

```python
print(sum([1, 2]))
```

| a | b |
|---|---|
| 1 | 2 |
"""
SCENES = {
    "chat": (),
    "routing": ("f4",),
    "by-hand": ("f4", "m"),
    "side-by-side": ("f4", "s", "enter"),
    "conversations": ("ctrl+o",),
    "options": ("f7",),
    "help": ("f1",),
    "adapters": (*"/adapters", "enter"),
}
SIZES = {"80x24": (80, 24), "120x40": (120, 40)}
THEMES = {"textual-dark": 3.0, "textual-light": 3.0, "high-contrast": 7.0}
"""The least contrast of each (WCAG 2.2: 3 : 1 for what is inactive or large, 7 : 1 is AAA)."""


async def scene(w, keys):
    await w.say_and_wait("How many players are from Norway?", "fine")
    await w.say_and_wait("and now with code", "Totals")
    for key in keys:
        await w.press(key)
        await w.pilot.pause(0.2)
    await w.until(lambda: not w.session.busy)
    await w.pilot.pause(0.2)


def script():
    return FakeAssistant(Answer(), Answer([MARKDOWN]), Answer(["another ", "answer"]))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SCENES)
async def test_each_screen_stands_as_it_was_looked_at(name, size):
    async with window(script(), size=SIZES[size]) as w:
        w.app.query_one("Prompt").cursor_blink = False
        await scene(w, SCENES[name])
        seen = re.sub(r"\d\d \w{3} \d\d:\d\d", "24 Nov 12:00", w.text()) + "\n"
    path = SNAPSHOTS / f"{name}-{size}.txt"
    if os.environ.get("DLP_LOCAL_UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(seen, "utf-8")
    assert seen == path.read_text("utf-8")


@pytest.mark.parametrize("name", SCENES)
async def test_every_letter_can_be_read_under_every_theme(name):
    async with window(script(), size=(80, 24)) as w:
        await scene(w, SCENES[name])
        for theme, least in THEMES.items():
            w.app.theme = theme
            await w.pilot.pause(0.1)
            assert faint_letters(w.app.screen, least) == [], theme


def faint_letters(screen, least):
    """The texts of the uppermost panel whose contrast is less, with their contrast."""
    panel = screen.region if not screen.is_modal else screen.children[0].region
    return [
        (round(ratio, 1), segment.text)
        for y, strip in enumerate(screen._compositor.render_strips())
        if panel.y <= y < panel.bottom
        for segment in strip.crop(panel.x, panel.right)
        if any(map(str.isalnum, segment.text)) and (ratio := contrast(segment.style)) < least
    ]


def contrast(style):
    """The contrast ratio of WCAG 2.2 between a style's letters and what is behind them."""
    front, back = (color.get_truecolor() for color in (style.color, style.bgcolor))
    if style.dim:
        front = blend_rgb(front, back, 0.5)
    if style.reverse:
        front, back = back, front
    high, low = sorted((luminance(front), luminance(back)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(color):
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
