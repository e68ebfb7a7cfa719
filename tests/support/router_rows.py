"""Rows to train a router on, and where an opened router sends a message."""

import json

from dlp_local.core.settings import Settings
from dlp_local.core.values import BASE
from dlp_local.opening import open_router
from dlp_local.packs import open_pack
from tests.support.prompts import PROMPTS, SMALL_TALK


def silent(*_):
    """No progress."""


def worded(prompt):
    return (prompt, f"please, {prompt}", f"{prompt} - thanks", f"hi! {prompt}")


def rows_of(labels=(*PROMPTS, BASE)):
    sources = {**PROMPTS, BASE: SMALL_TALK}
    return [(text, label) for label in labels for prompt in sources[label] for text in worded(prompt)]


def write_rows(path, rows):
    path.write_text("".join(json.dumps({"text": t, "adapter": a}) + "\n" for t, a in rows), "utf-8")
    return path


def top(router, text):
    probabilities = router.route(text, Settings().routing).probabilities
    return max(probabilities, key=probabilities.__getitem__)


def open_pack_router(folder):
    return open_router(open_pack(folder), Settings())
