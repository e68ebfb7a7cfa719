"""The page in a browser: a message, its answer and receipt, a stop, a key, and nothing that is run or leaves."""

import pytest

from tests.server.conftest import KEY
from tests.support.tab import answering, writing

DATE = "to ISO: the 3rd of February 2021"


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
    with server.slowly():
        turn = writing(tab)
        tab.page.keyboard.press("Escape")
        tab.ended()
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
    assert turn.locator(".receipt summary").inner_text().endswith(" · broken off")
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
    assert "'datse'. Did you mean 'dates'" in tab.ask(DATE).locator(".problem").inner_text()


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


def test_a_key_that_is_given_late_opens_the_pack_and_answers_what_was_asked(guarded, open_tab):
    tab = open_tab(guarded)
    tab.page.get_by_role("button", name="Cancel").click()
    tab.page.get_by_text("answers nobody without its API key").wait_for()
    tab.page.get_by_role("button", name="Give the key").click()
    tab.page.get_by_label("API key").wait_for()
    tab.page.keyboard.press("Escape")
    tab.page.get_by_label("API key").wait_for(state="hidden")
    tab.send(DATE)
    tab.page.get_by_label("API key").fill(KEY)
    tab.page.keyboard.press("Enter")
    tab.page.locator(".answer", has_text="2021-02-03").wait_for()
    assert tab.page.locator("#pack").inner_text() == "bundled"
    assert tab.page.get_by_label("Answers by").locator("option").count() > 2


def test_an_example_is_asked_and_leaves_the_draft(server, open_tab):
    tab = open_tab(server)
    tab.page.get_by_label("Message", exact=True).fill("a draft")
    tab.page.get_by_role("button", name="tar: extract archive.tar.gz into /tmp").click()
    tab.ended()
    assert tab.said() == ["tar: extract archive.tar.gz into /tmp"]
    assert tab.page.get_by_label("Message", exact=True).input_value() == "a draft"


def test_a_mix_that_is_not_written_yet_is_asked_for(server, open_tab):
    tab = open_tab(server)
    tab.page.get_by_label("Answers by").select_option("a mix by hand…")
    tab.send(DATE)
    tab.page.get_by_text("Write the mix first").wait_for()
    assert tab.said() == []
    assert tab.has_focus(tab.page.get_by_label("The mix"))
    tab.page.keyboard.type("dates=1")
    tab.page.get_by_role("button", name="Send").click()
    tab.page.locator(".answer", has_text="2021-02-03").wait_for()


def test_a_failed_message_is_tried_again_as_it_was_or_edited(server, open_tab):
    tab = open_tab(server)
    tab.page.route("**/v1/chat/completions", lambda route: route.abort())
    turn = tab.ask(DATE)
    tab.page.unroute_all()
    with tab.page.expect_request("**/v1/chat/completions") as asked:
        turn.get_by_role("button", name="Try again").click()
    assert set(asked.value.post_data_json) == {"model", "messages", "stream"}
    turn.locator(".answer", has_text="2021-02-03").wait_for()
    assert turn.get_by_role("button", name="Answer before").count() == 0
    with tab.page.expect_request("**/v1/chat/completions") as asked:
        turn.get_by_role("button", name="Another answer").click()
    earlier = {"text": DATE, "answer": "2021-02-03", "mix": {"dates": 1.0}}
    assert asked.value.post_data_json["dlp_local"] == {"earlier_answers": [earlier]}
    turn.locator(".answer", has_text="2021-02-03").wait_for(state="hidden")
    tab.ended()
    too_long = "word " * 9000
    assert tab.ask(too_long).locator(".problem").inner_text()
    tab.page.get_by_role("button", name="Edit").click()
    assert tab.said() == [DATE]
    assert tab.page.get_by_label("Message", exact=True).input_value() == too_long.strip()


def test_a_receipt_that_is_unfolded_can_be_seen(server, open_tab):
    tab = open_tab(server, viewport={"width": 800, "height": 600})
    tab.ask(DATE)
    tab.ask(DATE).locator(".receipt summary").click()
    tab.page.wait_for_function("""() => {
        const [more, main] = [document.querySelector(".turn:last-child .more"), document.querySelector("main")];
        return more.checkVisibility() && more.getBoundingClientRect().bottom <= main.getBoundingClientRect().bottom;
    }""")


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
