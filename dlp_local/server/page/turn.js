// A turn on the page: what was said, the answer, its receipt, and what can be done with it. Its nodes stay while what
// they show changes, and so do the focus, what is selected and what is unfolded.

import { isWhole } from "./conversation.js";
import { enable, make, makeButton } from "./dom.js";
import { markdown } from "./markdown.js";
import { receiptRows } from "./receipt.js";

export class TurnView {
  #turn;
  #drawnReceipt;
  #said = make("p", "said");
  #reasoning = make("details", "reasoning");
  #thoughts = make("p");
  #answer = make("div", "answer");
  #problem = make("p", "problem");
  #receipt = make("div");
  #count = make("span");
  #before; #after; #copy; #again; #edit;

  /** `on.step(turn, by)`, `on.again(turn)`, `on.edit(turn)` and `on.say(text)` are what its buttons do. */
  constructor(number, on) {
    this.#reasoning.append(make("summary", "", "Reasoning"), this.#thoughts);
    this.#before = makeButton("‹", () => on.step(this.#turn, -1), "Answer before");
    this.#after = makeButton("›", () => on.step(this.#turn, 1), "Answer after");
    this.#copy = makeButton("Copy", () => this.#copyAnswer(on.say));
    this.#again = makeButton("", () => on.again(this.#turn));
    this.#edit = makeButton("Edit", () => on.edit(this.#turn));
    const actions = make("div", "actions");
    actions.append(this.#before, this.#count, this.#after, this.#copy, this.#again, this.#edit);
    this.node = make("article", "turn");
    this.node.setAttribute("aria-label", `Message ${number}`);
    this.node.append(this.#said, this.#reasoning, this.#answer, this.#receipt, actions);
  }

  show(turn, isLast) {
    this.#turn = turn;
    const answer = turn.answers[turn.shown];
    setText(this.#said, turn.text);
    this.#reasoning.hidden = !answer.reasoning;
    become(this.#thoughts, [new Text(answer.reasoning)]);
    this.#showAnswer(answer);
    this.#showReceipt(answer.receipt);
    this.#showActions(turn, answer, isLast);
  }

  #showAnswer(answer) {
    let nodes = answer.text ? [...markdown(answer.text).childNodes] : [];
    if (!answer.isWriting && !answer.text && !answer.problem) {
      nodes = [make("p", "quiet", answer.reasoning ? "The model ended within its reasoning and gave no answer." : "No answer.")];
    }
    become(this.#answer, nodes);
    this.#answer.classList.toggle("writing", Boolean(answer.isWriting));
    setText(this.#problem, answer.problem ?? "");
    if (answer.problem) this.#answer.after(this.#problem); else this.#problem.remove();
  }

  #showReceipt(receipt) {
    const drawn = make("div");
    if (receipt) drawn.append(...receiptRows(receipt));
    if (drawn.isEqualNode(this.#drawnReceipt)) return;
    this.#drawnReceipt = drawn.cloneNode(true);
    const old = [...this.#receipt.querySelectorAll("details")];
    const focused = old.findIndex((details) => details.contains(document.activeElement));
    this.#receipt.replaceChildren(...drawn.childNodes);
    this.#receipt.querySelectorAll("details").forEach((details, index) => {
      details.open = old[index]?.open ?? false;
      if (index === focused) details.firstElementChild.focus({ preventScroll: true });
    });
  }

  #showActions(turn, answer, isLast) {
    const isWriting = Boolean(answer.isWriting), count = turn.answers.length;
    for (const node of [this.#before, this.#count, this.#after]) node.hidden = isWriting || count < 2;
    setText(this.#count, `${turn.shown + 1}/${count}`);
    enable(this.#before, turn.shown > 0);
    enable(this.#after, turn.shown < count - 1);
    this.#copy.hidden = isWriting || !answer.text;
    setText(this.#copy, "Copy");
    this.#again.hidden = !isLast || (isWriting && document.activeElement !== this.#again);
    setText(this.#again, isWriting || isWhole(answer) ? "Another answer" : "Try again");
    enable(this.#again, !isWriting);
    this.#edit.hidden = !isLast || isWriting || turn.answers.some(({ text }) => text);
  }

  async #copyAnswer(say) {
    try {
      await navigator.clipboard.writeText(this.#turn.answers[this.#turn.shown].text);
      setText(this.#copy, "Copied");
      say("Copied.");
    } catch {
      setText(this.#copy, "Select the text to copy it");
    }
  }
}

const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };

/** Gives a node these children: those that are alike stay, and so does what the texts begin with alike. */
function become(node, children) {
  const old = [...node.childNodes];
  children.forEach((child, index) => {
    const here = old[index];
    if (!here) node.append(child);
    else if (here instanceof Text && child instanceof Text) goOn(here, child.data);
    else if (here.cloneNode(false).isEqualNode(child.cloneNode(false))) become(here, [...child.childNodes]);
    else here.replaceWith(child);
  });
  old.slice(children.length).forEach((left) => left.remove());
}

/** Gives a text node another text from where they differ: what is selected before that stays selected. */
function goOn(node, text) {
  if (node.data === text) return;
  let same = 0;
  while (same < node.length && node.data[same] === text[same]) same++;
  node.replaceData(same, node.length - same, text.slice(same));
}
