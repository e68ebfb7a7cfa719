"""The page in a browser: a message, its answer and receipt, a stop, a key, and nothing that is run or leaves."""

import json
import re
import shutil

import pytest

from tests.server.conftest import KEY
from tests.support.http_server import NEVER_ENDS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
DATE = "to ISO: the 3rd of February 2021"

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (the dev extra)")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


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


@pytest.fixture
def open_tab(browser):
    contexts = []

    def open_tab(server, **options):
        contexts.append(browser.new_context(**options))
        return Tab(contexts[-1], server.url)

    yield open_tab
    for context in contexts:
        context.close()


def answering(tab, *pieces, end=True):
    """Lets the server answer with these pieces of text; without an end the stream breaks off."""
    route = {"mix": {"sql": 1.0}, "probabilities": {"sql": 1.0}, "timings_ms": {"embed": 1, "router": 1, "route": 2}}

    def chunk(extra=None, reason=None, **delta):
        line = {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} | (extra or {})
        return f"data: {json.dumps(line)}\n\n"

    body = chunk({"dlp_local": route}, role="assistant") + "".join(chunk(content=piece) for piece in pieces)
    body += chunk({"dlp_local": route | {"finish_reason": "stop"}}, "stop") + "data: [DONE]\n\n" if end else ""
    tab.page.route("**/v1/chat/completions", lambda r: r.fulfill(content_type="text/event-stream", body=body))


def without_end(tab):
    """Lets answers of the server go on until they are stopped."""

    def ask(route):
        body = route.request.post_data_json | {"temperature": 2, "logit_bias": NEVER_ENDS}
        route.continue_(post_data=json.dumps(body))

    tab.page.route("**/v1/chat/completions", ask)


def test_a_message_is_answered_with_its_route_and_stays_when_the_page_is_loaded_again(server, open_tab):
    tab = open_tab(server)
    tab.page.get_by_role("button", name="tar: extract archive.tar.gz into /tmp").wait_for()
    turn = tab.ask(DATE)
    assert turn.locator(".answer").inner_text() == "2021-02-03"
    receipt = turn.locator(".receipt summary")
    assert receipt.inner_text().startswith("dates 1.00 · ")
    assert "first token" in receipt.inner_text()
    assert not turn.get_by_role("table").is_visible()
    receipt.click()
    assert turn.get_by_role("row", name="dates").is_visible()
    second = tab.ask("tar: extract archive.tar.gz into /tmp, then to ISO: the 4th of July 1999")
    assert [row.partition(" ·")[0] for row in second.locator(".receipt summary").all_inner_texts()] == [
        "shell 1.00", "dates 1.00",
    ]  # fmt: skip
    tab.page.reload()
    assert tab.page.locator(".turn").count() == 2
    assert tab.page.locator(".turn .answer").first.inner_text() == "2021-02-03"
    tab.page.get_by_role("button", name="New conversation").click()
    assert tab.page.locator(".turn").count() == 0
    tab.page.get_by_role("button", name="Bring the last one back").click()
    assert tab.page.locator(".turn").count() == 2
    assert {url.removeprefix(server.url)[:1] for url in tab.asked} == {"/"}
    assert tab.wrong == []


def test_what_is_said_and_answered_stays_text(server, open_tab):
    tab = open_tab(server)
    hostile = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
    answering(tab, f"{hostile}\n\n```html\n{hostile}\n```\n\n- **bold {hostile}** ", "[x](javascript:alert(1))")
    turn = tab.ask(hostile)
    assert turn.locator(".said").inner_text() == hostile
    assert turn.locator("pre").inner_text() == hostile
    assert "[x](javascript:alert(1))" in turn.locator("li").inner_text()
    assert turn.locator("strong").inner_text() == f"bold {hostile}"
    assert tab.page.locator("#turns :is(script, img, a, iframe, object, svg)").count() == 0
    assert tab.page.title() == "dlp-local · bundled"
    assert tab.wrong == []


def test_a_command_is_shown_to_the_letter(server, open_tab):
    tab = open_tab(server)
    commands = ["* * * * *", "*/5 * * * *", "rm *.log* *tmp*", "echo `date`", "find . -name '**/*.py'", "a_b_c <b>"]
    for command in [*commands, '{\n  "a": [\n    1\n  ]\n}']:
        answering(tab, command)
        assert tab.ask("a command").locator(".answer").inner_text() == command


def test_markdown_is_drawn(server, open_tab):
    tab = open_tab(server)
    answering(
        tab, "# Tea\nUse `hot` water:\n\n1. *boil*\n2. **pour**\n\n* wait\n* drink\n\n> slowly\n\n~~~sh\nrm *.x*\n~~~"
    )
    answer = tab.ask("tea").locator(".answer")
    drawn = {tag: answer.locator(tag).all_inner_texts() for tag in ("h3", "p", "ol li", "ul li", "blockquote", "pre")}
    assert drawn == {
        "h3": ["Tea"], "p": ["Use hot water:"], "ol li": ["boil", "pour"], "ul li": ["wait", "drink"],
        "blockquote": ["slowly"], "pre": ["rm *.x*"],
    }  # fmt: skip
    assert answer.locator("p code, em, strong").all_inner_texts() == ["hot", "boil", "pour"]


def test_a_stopped_answer_keeps_what_came_and_frees_the_server(server, open_tab):
    tab = open_tab(server)
    without_end(tab)
    tab.page.get_by_label("Answers by").select_option("base")
    tab.send("Tell me a very long story about the sea.")
    tab.page.locator(".answer", has_text=re.compile(r"\w{3}")).wait_for()
    tab.page.keyboard.press("Escape")
    tab.ended()
    turn = tab.page.locator(".turn").last
    assert len(turn.locator(".answer").inner_text()) >= 3
    assert turn.locator(".receipt summary").inner_text() == "base 1.00 · stopped"
    tab.page.unroute_all()
    tab.page.get_by_label("Answers by").select_option("auto")
    assert tab.ask(DATE).locator(".answer").inner_text() == "2021-02-03"
    assert server.becomes_idle()


def test_another_answer_stands_beside_the_first_one(server, open_tab):
    tab = open_tab(server)
    answering(tab, "one")
    tab.ask("count")
    answering(tab, "two")
    tab.page.get_by_role("button", name="Another answer").click()
    tab.ended()
    turn = tab.page.locator(".turn")
    assert turn.locator(".answer").inner_text() == "two"
    turn.get_by_role("button", name="Answer before").click()
    assert turn.locator(".answer").inner_text() == "one"


def test_a_stream_that_breaks_off_keeps_what_came_and_says_so(server, open_tab):
    tab = open_tab(server)
    answering(tab, "half an ans", end=False)
    turn = tab.ask("hello")
    assert turn.locator(".answer").inner_text() == "half an ans"
    assert "broke off" in turn.locator(".problem").inner_text()
    tab.page.unroute("**/v1/chat/completions")
    tab.page.route("**/v1/chat/completions", lambda route: route.abort())
    assert "does not answer" in tab.ask("hello?").locator(".problem").inner_text()
    tab.page.unroute("**/v1/chat/completions")
    assert tab.ask(DATE).locator(".problem").count() == 0


def test_a_mix_by_hand_answers_and_a_wrong_one_is_refused_in_the_servers_words(server, open_tab):
    tab = open_tab(server)
    tab.page.get_by_label("Answers by").select_option("a mix by hand…")
    tab.page.get_by_label("The mix").fill("dates=0.75")
    assert tab.ask(DATE).locator(".receipt summary").inner_text().startswith("dates 0.75 · base 0.25 · ")
    tab.page.get_by_label("The mix").fill("datse=1")
    assert "There is no model 'datse'. Did you mean 'dates'" in tab.ask(DATE).locator(".problem").inner_text()


def test_a_server_with_a_key_asks_for_it_once(guarded, open_tab):
    tab = open_tab(guarded)
    tab.page.get_by_label("API key").fill("wrong-key-0123456789")
    tab.page.keyboard.press("Enter")
    tab.page.get_by_text("The API key is wrong").wait_for()
    tab.page.get_by_label("API key").fill(KEY)
    tab.page.get_by_role("button", name="Use it").click()
    tab.page.get_by_text("bundled").wait_for()
    assert tab.ask(DATE).locator(".answer").inner_text() == "2021-02-03"
    assert tab.page.evaluate("localStorage.getItem('dlp-local.key')") is None
    tab.page.reload()
    tab.page.get_by_text("bundled").wait_for()
    assert not tab.page.get_by_role("dialog").is_visible()
    tab.page.get_by_label("More").click()
    tab.page.get_by_role("button", name="Forget all that this browser keeps").click()
    assert tab.page.evaluate("localStorage.length + sessionStorage.length") == 0


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_cut_off_and_all_that_is_pressed_has_a_name(server, open_tab, color_scheme):
    tab = open_tab(server, viewport={"width": 360, "height": 640}, color_scheme=color_scheme, has_touch=True)
    answering(tab, f"`{'a' * 300}`\n\n```\n{'b' * 300}\n```")
    tab.ask("x" * 300)
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.page.evaluate("document.querySelector('main').scrollWidth <= innerWidth")
    for control in tab.page.locator("button:visible, select:visible, textarea:visible, summary:visible").all():
        box = control.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        name = control.evaluate("c => c.getAttribute('aria-label') || c.labels?.[0]?.textContent || c.textContent")
        assert name.strip()
    ink = tab.page.evaluate("getComputedStyle(document.body).color")
    assert (ink == "rgb(34, 38, 42)") == (color_scheme == "light")
