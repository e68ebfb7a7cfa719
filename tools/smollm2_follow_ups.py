"""Second messages, which go on with the turn before: those of each task of the SmolLM2 pack, and of anything."""

from __future__ import annotations

from tools import router_messages

TASK_FOLLOW_UPS = router_messages.TASK_FOLLOW_UPS | {
    "actions": (
        "now something by Miles Davis", "and for tomorrow?", "add it to my party playlist",
        "give it four stars instead", "and in Berlin?", "no, on spotify", "play the newest one",
        "what about the weekend forecast?",
        "the same album on youtube", "make that a table for two in Boston", "and the one by Queen", "rate it 2 of 6",
    ),
    "cron": (
        "now only on weekdays", "and at midnight instead", "make it every ten minutes", "the same but hourly",
        "and on the first of the month", "but not on Sundays", "twice a day instead", "now at quarter past",
    ),
    "json": (
        "now this one: {'a': 1,}", "and this: [1, 2", "another broken one: {\"x\": True}", "fix this too: {a: 1}",
        "and {\"k\": \"v\"", "this one does not parse either: {\"n\": 01,}",
    ),
    "regex": (
        "now with an optional minus sign", "and only at the start of the line", "also allow underscores",
        "make it case-insensitive", "exactly three of them", "and ending with a digit", "followed by a comma",
        "but for capital letters", "now match the whole line",
    ),
}  # fmt: skip

HELD_OUT_FOLLOW_UPS = router_messages.HELD_OUT_TASK_FOLLOW_UPS | {
    "actions": ("now play something by Bach", "and on Sunday?", "give it one star", "put it on my running playlist",
                "and what about the forecast for Rome?", "no, use deezer"),
    "cron": ("and every five minutes?", "only on Mondays", "the same at noon", "now every other hour"),
    "json": ("and {'b': 2,}", "this one too: [true, False]", "fix this as well: {x: 2}"),
    "regex": ("now at the end of the line", "two of them instead", "and allow dots", "but for small letters"),
}  # fmt: skip

ANY_FOLLOW_UPS = (
    *router_messages.ANY_FOLLOW_UPS,
    "what about these?", "and these two?", "and the others as well", "how about the next?", "what about number two?",
    "the third one please", "the other one instead", "rather the second", "no, the one before", "not those",
    "no, that one", "neither of these", "this time without it", "the same without that", "do it once more",
    "redo that", "go back one step", "take that back", "revert it", "cancel that change", "repeat it",
    "repeat this for the rest", "say that again", "same for the last one", "now for the other two", "do them all",
    "and for each of them?", "a longer one", "something shorter", "a different one", "a simpler version",
    "another version of it", "a bit more", "less of that", "two more like it", "give me another", "one more please",
    "any more of them?", "more like this", "like before", "as before", "the same as last time", "almost, but not quite",
    "similar, but another one", "that is not what I meant", "no, I meant the other", "wrong one", "this is not right",
    "continue", "go on", "and then?", "what else?", "and the remaining ones?", "finish the rest", "swap them",
    "the reverse please", "just the last part", "only that part", "leave that out", "put it back", "use the other name",
    "with another one", "and if there are none?", "what if there are more?",
)  # fmt: skip
"""Each could follow a message of any task."""
