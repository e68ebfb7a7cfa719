"""The keys of a widget that one writes in, each acting in the order in which it was struck.

Textual runs bindings from the app's queue, letters from the widget's own: with fast typing, or over a slow connection
that delivers keys in bursts, Backspace and Enter would overtake the letters before them, or fall behind those after.
"""

from __future__ import annotations

from textual import events
from textual.widget import Widget
from textual.widgets import Input, TextArea


def own_action(widget: Widget, key: str) -> str | None:
    """The action that a key is bound to by the widget itself, the user's keys included."""
    bound = widget.screen.active_bindings.get(key)
    return bound.binding.action if bound and bound.node is widget else None


async def act_in_order(widget: Widget, event: events.Key) -> None:
    """Runs the widget's own action for a key there and then; an action that skips leaves the key to the app."""
    action = None if event.is_printable else own_action(widget, event.key)
    if action and await widget.app.run_action(action, widget):
        take(event)


def take(event: events.Key) -> None:
    """Nobody else acts on this key."""
    event.stop()
    event.prevent_default()


class LineInput(Input):
    """A line to write in."""

    async def _on_key(self, event: events.Key) -> None:
        await act_in_order(self, event)


class TextInput(TextArea):
    """Lines to write in."""

    async def _on_key(self, event: events.Key) -> None:
        await act_in_order(self, event)
