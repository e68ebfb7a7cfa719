"""The routing of one turn, unfolded: every adapter's probability and weight, and what can be done about them.

Of a turn that was answered in parts one part is shown at a time.
"""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from dlp_local.core.errors import InputError
from dlp_local.core.events import ReplyDone
from dlp_local.core.receipt import FIRST_TOKEN, milliseconds, speed_text
from dlp_local.core.text import counted, unknown_name, visible
from dlp_local.core.values import BASE, Mix, Route
from tui.actions import RoutingAction, RoutingActionKind
from tui.columns import fitted, room
from tui.state import TurnRouting, TurnState
from tui.widgets.keys import LineInput

BAR, SHORTEST_BAR = 24, 4
NAME, LONGEST_NAME = 14, 30
NUMBERS, MARK = len("  0.719  0.72"), len("  corrected")
"""Cells of a line behind its bar."""


class RoutingScreen(ModalScreen[RoutingAction | None]):
    """Bars, and keys that act on the adapter under the cursor."""

    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-tall")]  # noqa: RUF012 (to mypy, textual's is no ClassVar)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "dismiss(None)", "Close"),
        Binding("left", "part(-1)", "The part before"),
        Binding("right", "part(1)", "The part after"),
        Binding("p", "pin", "Pin this mix for the conversation, or let the router choose again"),
        Binding("v", "veto", "Veto this adapter for the conversation, or allow it again"),
        Binding("a", "retry", "Again with this adapter alone"),
        Binding("m", "by_hand('retry')", "Again with weights by hand"),
        Binding("s", "by_hand('compare')", "Side by side with weights by hand"),
        Binding("w", "correct", "It was the wrong one: this adapter is right; on that again, take it back"),
    ]

    def __init__(self, routing: TurnRouting) -> None:
        super().__init__()
        self._routing, self._turn = routing, routing.turn
        self._weights_for: RoutingActionKind = "retry"
        self._to_confirm = ""
        self._part = 0

    @property
    def _parts(self) -> tuple[Route, ...]:
        return self._turn.route.parts if self._turn.route else ()

    @property
    def _route(self) -> Route | None:
        """What is shown: the turn's route, or that of one of its parts."""
        return self._parts[self._part] if self._parts else self._turn.route

    def compose(self) -> ComposeResult:
        """Message, bars, times, keys."""
        with Vertical(id="routing") as panel:
            panel.border_subtitle = "← → other parts · Esc closes" if self._parts else "Esc closes"
            yield Static(classes="said", markup=False)
            yield Static(id="headings", classes="muted", markup=False)
            yield OptionList(id="adapters")
            yield Static(id="times", classes="muted", markup=False)
            yield LineInput(placeholder="sql=0.7,shell=0.3 or base", id="weights")
            yield Static("", classes="problem", markup=False)
            yield Static(id="keys", classes="muted")

    def on_mount(self) -> None:
        """The weights are written only where they are asked for."""
        self.query_one("#weights").display = False
        self.query_one(".problem").display = False
        self.query_one(OptionList).focus()
        self._show()

    def on_resize(self) -> None:
        """The columns are as wide as there is room."""
        options = self.query_one(OptionList)
        at = options.highlighted
        self._show()
        options.highlighted = at

    def _show(self) -> None:
        which = f"part {self._part + 1} of {len(self._parts)}" if self._parts else "this message"
        self.query_one("#routing").border_title = f"How {which} was routed"
        text = self._route.text if self._route else self._turn.text
        self.query_one(".said", Static).update(visible(text.strip().partition("\n")[0]))
        names, bar = self._columns()
        self.query_one("#headings", Static).update(f"{'adapter':{names}} {'':{bar}} {'router':>6}  {'mix':>4}")
        options = self.query_one(OptionList)
        options.clear_options().add_options(self._rows(names, bar))
        options.highlighted = 0
        done = self._turn.done
        if done and done.parts:
            done = done.parts[self._part]
        self.query_one("#times", Static).update(times(self._turn.state, self._route, done))
        self.query_one("#keys", Static).update(_keys(self._routing, self._route))

    def action_part(self, by: int) -> None:
        """← and →: another part of the message."""
        if self._parts:
            self._part = (self._part + by) % len(self._parts)
            self._to_confirm = ""
            self.query_one(".problem").display = False
            self._show()

    def _columns(self) -> tuple[int, int]:
        """Cells of the adapters' names and of the bars: a name is cut only where no bar would be left."""
        space = room(self.app.size.width) - NUMBERS
        longest = max(map(len, (*self._routing.adapters, BASE)))
        names = max(NAME, min(longest, LONGEST_NAME, space - SHORTEST_BAR - 1))
        return names, max(SHORTEST_BAR, min(BAR, space - names - 1 - MARK))

    def _rows(self, names_width: int, bar: int) -> list[Option]:
        route = self._route
        probabilities = self._routing.probabilities(route) if route else {}
        weights = route.mix.as_dict() if route else {}
        shares = {**weights, **probabilities}
        names = sorted({*self._routing.adapters, BASE}, key=lambda name: (-shares.get(name, 0.0), name))
        rows = []
        for name in names:
            share = shares.get(name, 0.0)
            line = Text(f"{fitted(visible(name), names_width)} ")
            line.append(f"{'━' * round(share * bar):{bar}}", "bold" if name in weights else "dim")
            line.append(f" {probabilities[name]:6.3f}" if name in probabilities else "      -")
            line.append(f"  {weights[name]:.2f}" if name in weights else "     -")
            line.append("".join(f"  {mark}" for mark in self._routing.marks(name, route)))
            rows.append(Option(line, id=name))
        return rows

    @property
    def _chosen(self) -> str:
        options = self.query_one(OptionList)
        return str(options.get_option_at_index(options.highlighted or 0).id)

    def action_pin(self) -> None:
        """Pins this mix for the conversation, or takes the pin back."""
        if self._routing.options.pinned is not None:
            self.dismiss(RoutingAction("unpin"))
        elif self._route is None:
            self._warn("It is not routed yet. Wait for its answer.")
        else:
            self.dismiss(RoutingAction("pin", self._route.mix))

    def action_veto(self) -> None:
        """Vetoes the highlighted adapter, or allows it again."""
        if self._chosen == BASE:
            self._warn("The bare backbone cannot be vetoed. Choose an adapter.")
        else:
            self.dismiss(RoutingAction("veto", adapter=self._chosen))

    def action_retry(self) -> None:
        """Asks again with the highlighted adapter alone."""
        self.dismiss(RoutingAction("retry", Mix.of({self._chosen: 1.0})))

    @on(OptionList.OptionSelected)
    def _on_selected(self) -> None:
        self.action_retry()

    def action_correct(self) -> None:
        """W, twice: what it will do is said first. On the adapter that was said to be right: takes that back."""
        adapter, part = self._chosen, self._part if self._parts else None
        if adapter == self._routing.right(self._route):
            self.dismiss(RoutingAction("uncorrect", part=part))
            return
        if self._to_confirm == adapter:
            self.dismiss(RoutingAction("correct", adapter=adapter, part=part))
            return
        self._to_confirm = adapter
        self._warn(
            f"W once more: this {'part' if self._parts else 'message'}, and those almost like it, go to {adapter} from "
            "now on. F4, W takes it back."
        )

    def action_by_hand(self, kind: RoutingActionKind) -> None:
        """M, S: asks for the weights."""
        self._weights_for = kind
        weights = self.query_one("#weights", Input)
        weights.display = True
        weights.value = (self._route.mix if self._route else Mix()).spelled
        weights.focus()

    @on(Input.Submitted)
    def _on_weights(self, message: Input.Submitted) -> None:
        try:
            mix = Mix.parse(message.value)
            if unknown := [name for name, _ in mix.weights if name not in self._routing.adapters]:
                raise InputError(f"mix: {unknown_name('adapter', unknown[0], self._routing.adapters)}")
        except InputError as error:
            self._warn(str(error))
        else:
            self.dismiss(RoutingAction(self._weights_for, mix))

    def _warn(self, problem: str) -> None:
        warning = self.query_one(".problem", Static)
        warning.update(visible(problem))
        warning.display = True


def times(state: TurnState, route: Route | None, done: ReplyDone | None) -> str:
    """How a message or a part was routed, how sure the router was, and every time of it; below, its tokens."""
    if route is None:
        return "queued: not routed yet" if state == "queued" else "not routed"
    first, second = ["mix given by hand"], []
    if route.probabilities:
        sure = max(route.probabilities.values())
        first = [f"confidence {sure:.2f}", *([f"route {milliseconds(route.total_ms)}"] if route.total_ms else [])]
    if done:
        first += [
            f"{FIRST_TOKEN} {milliseconds(done.timings.first_token)}",
            f"total {milliseconds(done.timings.total)}",
        ]
        second.append(counted(done.answer_tokens, "token"))
        if done.tokens_per_second:
            second.append(speed_text(done.tokens_per_second))
    return "\n".join(" · ".join(parts) for parts in (first, second))


def _keys(routing: TurnRouting, route: Route | None) -> Table:
    grid = Table.grid(padding=(0, 3, 0, 0))
    pin = "P pin this mix" if routing.options.pinned is None else "P unpin the mix"
    right = "W right one, or take back" if routing.right(route) else "W this is the right one"
    grid.add_row(pin, "V veto, or allow again", "A again with it alone")
    grid.add_row("M again by hand", "S side by side", right)
    return grid
