"""A page of the server in a browser, and answers for it that come as a test wants them."""

import json
import re

from tests.support.http_server import NEVER_ENDS


class Tab:
    """A page of the server, with all that it asked for and all that went wrong in it."""

    def __init__(self, context, url):
        self.url, self.page = url, context.new_page()
        self.asked, self.wrong = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda line: self.wrong.append(line.text) if line.type == "error" else None)
        self.page.set_default_timeout(30_000)
        self.page.goto(f"{url}/")

    def send(self, text):
        self.page.get_by_label("Message", exact=True).fill(text)
        self.page.keyboard.press("Enter")

    def ask(self, text):
        self.send(text)
        self.ended()
        return self.page.locator(".turn").last

    def ended(self):
        self.page.get_by_role("button", name="Send").wait_for()

    def said(self):
        return self.page.locator(".turn .said").all_inner_texts()

    def has_focus(self, locator):
        return locator.evaluate("node => node === document.activeElement")

    def beside(self):
        """Another tab of the same browser."""
        return Tab(self.page.context, self.url)


def answering(tab, *pieces, end=True):
    """Lets the server answer with these pieces of text; without an end the stream breaks off."""
    route = {"mix": {"sql": 1.0}, "probabilities": {"sql": 1.0}, "timings_ms": {"embed": 1, "router": 1, "route": 2}}

    def chunk(extra=None, reason=None, **delta):
        line = {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} | (extra or {})
        return f"data: {json.dumps(line)}\n\n"

    body = chunk({"dlp_local": route}, role="assistant") + "".join(chunk(content=piece) for piece in pieces)
    body += chunk({"dlp_local": route | {"finish_reason": "stop"}}, "stop") + "data: [DONE]\n\n" if end else ""
    tab.page.route("**/v1/chat/completions", lambda r: r.fulfill(content_type="text/event-stream", body=body))


def waiting(tab, text):
    """Says what is never answered."""
    tab.page.route("**/v1/chat/completions", lambda route: None)
    tab.send(text)
    tab.page.get_by_role("button", name="Stop").wait_for()


def writing(tab, text="Tell me a very long story about the sea."):
    """The turn of an answer that is being written; it is the longest one, `server.slowly()` makes it last."""
    without_end(tab)
    tab.page.get_by_label("Answers by").select_option("base")
    tab.send(text)
    turn = tab.page.locator(".turn").last
    turn.locator(".answer", has_text=re.compile(r"\w{3}")).wait_for()
    return turn


def without_end(tab):
    """Lets answers of the server go on until they are stopped."""

    def ask(route):
        body = route.request.post_data_json | {"temperature": 2, "seed": 1, "logit_bias": NEVER_ENDS}
        route.continue_(post_data=json.dumps(body))

    tab.page.route("**/v1/chat/completions", ask)
