"""Whole turns of an assistant."""

from dlp_local import ReplyDone


def finish(assistant, text, history=(), **options):
    *_, done = assistant.reply(text, history, **options)
    assert isinstance(done, ReplyDone)
    return done
