"""What the page keeps, in a browser: conversations beside other tabs and past a reload, the focus, what is selected."""

from tests.support.tab import answering, waiting, writing

DATE = "to ISO: the 3rd of February 2021"


def test_what_another_tab_says_is_never_written_over(server, open_tab):
    first = open_tab(server)
    answering(first, "an answer")
    second = first.beside()
    answering(second, "an answer")
    first.ask("from the first")
    second.ask("from the second")
    second.page.get_by_role("button", name="New conversation").click()
    second.page.reload()
    assert second.said() == []
    assert second.page.locator("#earlier button").count() == 2
    second.page.get_by_role("button", name="from the first").click()
    assert second.said() == ["from the first"]
    first.page.reload()
    assert first.said() == ["from the first"]


def test_tabs_on_one_conversation_follow_each_other_and_part_where_both_go_on_at_once(server, open_tab):
    first = open_tab(server)
    answering(first, "an answer")
    first.ask("one")
    second = first.beside()
    answering(second, "an answer")
    second.ask("two")
    first.page.locator(".said", has_text="two").wait_for()
    first.page.unroute_all()
    waiting(first, "three")
    second.ask("four")
    first.page.keyboard.press("Escape")
    first.ended()
    for tab, last in ((first, "three"), (second, "four")):
        tab.page.reload()
        assert tab.said()[:2] == ["one", "two"]
        assert tab.said()[-1] == last
    first.page.get_by_role("button", name="New conversation").click()
    assert first.page.locator("#earlier button").count() == 2


def test_only_so_many_conversations_are_kept_and_the_one_of_older_pages_is_read(server, open_tab):
    tab = open_tab(server)
    tab.page.evaluate("""() => {
        const turns = (text) => [{ text, answers: [{ text: "an answer", reasoning: "" }], shown: 0 }];
        localStorage.setItem("dlp-local.conversation", JSON.stringify(turns("of old")));
        for (let changed = 1; changed < 20; changed++) {
            const kept = JSON.stringify({ changed, turns: turns(`${changed}`) });
            localStorage.setItem(`dlp-local.conversation.${changed}`, kept);
        }
    }""")
    tab.page.get_by_role("button", name="New conversation").click()
    tab.page.get_by_role("button", name="of old").click()
    assert tab.page.locator(".turn .answer").inner_text() == "an answer"
    tab.page.get_by_role("button", name="New conversation").click()
    answering(tab, "an answer")
    tab.ask("the newest")
    tab.page.get_by_role("button", name="New conversation").click()
    kept = tab.page.locator("#earlier button span:first-child").all_inner_texts()
    assert kept == ["the newest", *map(str, range(19, 0, -1))]


def test_what_had_come_of_an_answer_and_the_draft_outlive_the_page(server, open_tab):
    tab = open_tab(server)
    with server.slowly():
        came = writing(tab).locator(".answer").inner_text()
        tab.page.get_by_label("Message", exact=True).fill("a draft")
        tab.page.reload()
    turn = tab.page.locator(".turn")
    assert turn.locator(".answer").inner_text().startswith(came[:3])
    assert turn.locator(".receipt summary").inner_text() == "base 1.00 · broken off"
    assert "broke off" in turn.locator(".problem").inner_text()
    assert tab.page.get_by_label("Message", exact=True).input_value() == "a draft"
    assert server.becomes_idle()


def test_while_an_answer_is_written_the_focus_and_what_is_selected_stay(server, open_tab):
    tab = open_tab(server)
    with server.slowly():
        turn = writing(tab)
        answer, receipt = turn.locator(".answer"), turn.locator(".receipt summary")
        receipt.press("Enter")
        assert turn.get_by_text("The mix was given by hand.").is_visible()
        answer.evaluate(
            "node => getSelection().setBaseAndExtent(node.firstChild.firstChild, 0, node.firstChild.firstChild, 3)"
        )
        chosen = tab.page.evaluate("String(getSelection())")
        length = len(answer.inner_text())
        tab.page.wait_for_function(
            "length => document.querySelector('.answer').innerText.length > length + 40", arg=length
        )
        assert tab.page.evaluate("String(getSelection())") == chosen
        assert len(chosen) == 3
        assert tab.has_focus(receipt)
        tab.page.keyboard.press("Escape")
        tab.ended()
    assert tab.has_focus(receipt)
    assert turn.get_by_text("The mix was given by hand.").is_visible()


def test_what_is_selected_stays_where_what_follows_makes_the_answer_markdown(server, open_tab):
    selected = open_tab(server).page.evaluate("""async () => {
      const { TurnView } = await import("/page/turn.js");
      const view = new TurnView(1, {}), answer = { text: "I do two things:\\n", isWriting: true };
      document.body.append(view.node);
      const show = () => view.show({ text: "what?", answers: [answer], shown: 0 }, true);
      show();
      const text = view.node.querySelector(".answer p").firstChild;
      getSelection().setBaseAndExtent(text, 2, text, 8);
      const after = ["one\\n\\nand the **oth", "one\\n\\nand the **other** one"].map((more) => {
        answer.text = `I do two things:\\n${more}`;
        show();
        return String(getSelection());
      });
      return [...after, view.node.querySelectorAll(".answer p + p strong").length];
    }""")
    assert selected == ["do two", "do two", 1]


def test_what_was_pressed_keeps_the_focus(server, open_tab):
    tab = open_tab(server)
    answering(tab, "one")
    tab.ask("count")
    another, before = (tab.page.get_by_role("button", name=name) for name in ("Another answer", "Answer before"))
    for button in (another, before):
        button.press("Enter")
        tab.ended()
        assert tab.has_focus(button)
    assert tab.page.locator(".turn .actions span").inner_text() == "1/2"
    before.press("Enter")
    assert tab.page.locator(".turn .actions span").inner_text() == "1/2"
    tab.page.get_by_role("button", name="New conversation").press("Enter")
    tab.page.get_by_role("button", name="Bring the last one back").press("Enter")
    assert tab.said() == ["count"]
    assert tab.has_focus(tab.page.get_by_label("Message", exact=True))
