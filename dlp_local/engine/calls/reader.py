"""Calls of tools in the text of an answer, as it comes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from dlp_local.core.events import AnswerWasReasoning, TextDelta, ToolCalled
from dlp_local.core.json_text import json_value
from dlp_local.core.values import ToolCall
from dlp_local.engine.answer import Delta
from dlp_local.engine.calls.syntax import PLAIN_SYNTAX, CallSyntax, call_object
from dlp_local.engine.text import held_back

LONGEST_CALL = 1 << 17
"""Characters. What goes on for longer is no call."""

CallDelta = Delta | ToolCalled


class ToolCallReader:
    """Tells calls of some tools from the text around them; what turns out to be none stays text.

    A call is what the model's syntax says, what stands in the tags of the plain one, or an answer that begins with the
    object alone. White space around calls is no text.
    """

    def __init__(self, names: Collection[str], syntax: CallSyntax, *, only_calls: bool = False) -> None:
        """`names`: those of the tools that may be called. `only_calls`: a grammar lets nothing else through."""
        self._names, self._syntax, self._only_calls = frozenset(names), syntax, only_calls
        known = {one.marker: one for one in (PLAIN_SYNTAX, syntax) if one.marker}
        self._ends = {marker: one.end for marker, one in known.items()}
        self._held = ""
        self._marker: str | None = None
        """The marker of the call that has begun; empty for an object alone, None outside of calls."""

        self._scan = _Scan()
        self._is_at_start = True
        self._called = False

    def told(self, deltas: Iterable[Delta]) -> Iterator[CallDelta]:
        """The same events, with calls in the place of their texts."""
        for delta in deltas:
            if isinstance(delta, TextDelta):
                yield from self._read(delta.text)
            else:
                if isinstance(delta, AnswerWasReasoning):
                    yield from self._flush()
                yield delta

    def rest(self, *, is_cut: bool) -> Iterator[CallDelta]:
        """What was held back when the answer ended: a whole call, or text; a call that was cut off is neither.

        `is_cut`: the model did not end the answer itself.
        """
        if self._marker is not None and self._scan.end and (calls := self._calls(self._scan.end)):
            yield from calls
            self._held = ""  # no more than the beginning of the text after a call
        elif self._only_calls or (is_cut and self._marker):
            self._held = ""
        yield from self._flush()

    def _flush(self) -> Iterator[CallDelta]:
        held, self._held, self._marker = self._held, "", None
        if held.strip() or (held and not self._called):
            yield TextDelta(held)

    def _read(self, text: str) -> Iterator[CallDelta]:
        self._held += text
        while True:
            events = list(self._outside() if self._marker is None else self._inside())
            yield from (event for event in events if event is not None)
            if not events:
                return

    def _outside(self) -> Iterator[CallDelta | None]:
        """Passes text on up to a call; None says that there is more to do."""
        shown = self._held.lstrip()
        if self._is_at_start and shown[:1] in ("{", "[") and not any(map(shown.startswith, self._ends)):
            if shown[0] == "[" and any(marker.startswith(shown) for marker in self._ends):
                return
            yield from self._begin("", len(self._held) - len(shown))
            return
        found = [(at, marker) for marker in self._ends if (at := self._held.find(marker)) >= 0]
        if found:
            at, marker = min(found)
            yield from self._begin(marker, at)
            return
        cut = len(self._held) - held_back(self._held, tuple(self._ends))
        cut = len(self._held[:cut].rstrip())
        yield from self._pass(cut)

    def _pass(self, count: int) -> Iterator[TextDelta]:
        passed, self._held = self._held[:count], self._held[count:]
        passed = passed.lstrip() if self._called and self._is_at_start else passed
        if passed:
            self._is_at_start = False
            yield TextDelta(passed)

    def _begin(self, marker: str, at: int) -> Iterator[CallDelta | None]:
        before = self._held[:at].rstrip()
        self._held, self._marker = self._held[at:], marker
        self._scan = _Scan(len(marker))
        if before:
            self._is_at_start = False
            yield TextDelta(before)
        yield None

    def _inside(self) -> Iterator[CallDelta | None]:
        """Waits for the end of a call's JSON, and for the text after it."""
        marker, scan = self._marker or "", self._scan
        scan.feed(self._held)
        if scan.end is None and not scan.failed and len(self._held) <= LONGEST_CALL:
            return
        calls = self._calls(scan.end) if scan.end else None
        if calls is None:
            yield from self._give_up(marker)
            return
        end = self._ends.get(marker, "")
        after = self._held[scan.end :].lstrip()
        if end and end.startswith(after) and after != end:
            return  # the text after it is still coming
        self._held, self._marker = after.removeprefix(end), None
        self._called = self._is_at_start = True
        yield from calls
        yield None

    def _give_up(self, marker: str) -> Iterator[CallDelta | None]:
        """What looked like a call is text."""
        self._marker, self._is_at_start = None, False
        length = max(len(marker), 1)
        passed, self._held = self._held[:length], self._held[length:]
        yield TextDelta(passed)
        yield None

    def _calls(self, end: int) -> list[ToolCalled] | None:
        """The calls in the JSON that was read; None where it is anything else."""
        value = json_value(self._held[len(self._marker or "") : end])
        if value is None:
            return None
        calls = [call_object(one, self._syntax) for one in (value if isinstance(value, list) else [value])]
        made = [ToolCall(*call) for call in calls if call is not None and call[0] in self._names]
        return [ToolCalled(call) for call in made] if made and len(made) == len(calls) else None


class _Scan:
    """Looks for the end of an object or a list of JSON, each character once."""

    def __init__(self, start: int = 0) -> None:
        self._at, self._depth = start, 0
        self._in_string = self._escaped = False
        self.failed = False
        """Whether something else stands there."""

        self.end: int | None = None
        """Where it ends."""

    def feed(self, text: str) -> None:
        """Goes on in a text that has grown."""
        while self._at < len(text) and self.end is None and not self.failed:
            character = text[self._at]
            self._at += 1
            if self._escaped:
                self._escaped = False
            elif self._in_string:
                self._escaped, self._in_string = character == "\\", character != '"'
            elif character == '"':
                self._in_string = self._depth > 0
                self.failed = not self._depth
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                self.end = self._at if self._depth == 0 else None
                self.failed = self._depth < 0
            elif not self._depth and not character.isspace():
                self.failed = True
