// Conversations, each kept in this browser under a name of its own: no tab writes over what was said in another one.

import { BROKEN_OFF } from "./api.js";
import { cutShort } from "./receipt.js";
import { BROWSER, names, read, TAB, write } from "./store.js";

const CONVERSATION = "dlp-local.conversation"; // alone, a list of turns: the one conversation that older pages kept
const OPEN = "dlp-local.open";
const MOST = 20, MOST_CHARACTERS = 2_000_000; // together; every browser has room for that

export const isWhole = (answer) => Boolean(answer.text) && !answer.problem;

export class Conversation {
  #stored; // what the store held when this tab last read or wrote it; null where this tab has more

  constructor(name = newName()) {
    this.name = name;
    this.#stored = read(BROWSER, name);
    /** Each `{text, answers, shown}`, an answer `{text, reasoning, receipt, problem, isWriting}`. */
    this.turns = parse(this.#stored).turns;
  }

  /** Keeps the turns, under another name where another tab changed what was kept; gives whether there was room. */
  keep() {
    const stored = read(BROWSER, this.name);
    if (stored && stored !== this.#stored) {
      this.name = newName();
      this.#stored = "";
    }
    const text = this.turns.length ? JSON.stringify({ changed: Date.now(), turns: this.turns }) : "";
    let isKept = this.#stored && write(BROWSER, this.name, text);
    if (!isKept) {
      makeRoom(this.name, text.length);
      isKept = write(BROWSER, this.name, text);
    }
    this.#stored = isKept ? text : null;
    return isKept;
  }

  /** Takes over what another tab made of this conversation, where that loses nothing; gives whether it did. */
  adopt({ key, oldValue, newValue }) {
    if (key !== this.name || (oldValue ?? "") !== this.#stored || !newValue) return false;
    this.#stored = newValue;
    this.turns = parse(newValue).turns;
    return true;
  }

  /** What the server is asked for a turn: as it was said, or for one more answer beside a whole one. */
  question(turn) {
    const messages = [];
    for (const earlier of this.turns.slice(0, this.turns.indexOf(turn))) {
      const answer = earlier.answers[earlier.shown];
      if (answer.text) messages.push({ role: "user", content: earlier.text }, { role: "assistant", content: answer.text });
    }
    messages.push({ role: "user", content: turn.text });
    const given = turn.answers.filter(isWhole);
    if (!given.length) return { messages };
    const earlier_answers = given.flatMap(({ text, receipt }) => receipt?.parts ?? [{ text: turn.text, answer: text, mix: receipt?.mix }])
      .map(({ text, answer, mix }) => ({ text, answer, mix }));
    return { messages, dlp_local: { earlier_answers } };
  }
}

/** The conversation that this tab had open, else the newest. */
export const openedConversation = () => new Conversation(read(TAB, OPEN) || keptConversations()[0]?.name);
export const keepOpen = (name) => write(TAB, OPEN, name);

/** All that are kept, each `{name, size, changed, turns}`, the newest first. */
export function keptConversations() {
  return names(BROWSER, CONVERSATION).map((name) => {
    const text = read(BROWSER, name);
    return { name, size: text.length, ...parse(text) };
  }).filter(({ turns }) => turns.length).sort((a, b) => b.changed - a.changed);
}

const newName = () => `${CONVERSATION}.${Date.now().toString(36)}${Math.random().toString(36).slice(2)}`;

function parse(text) {
  try {
    const kept = JSON.parse(text);
    const { changed, turns } = Array.isArray(kept) ? { changed: 0, turns: kept } : kept;
    return { changed, turns: turns.filter(isTurn).map((turn) => ({ ...turn, answers: turn.answers.map(ended) })) };
  } catch {
    return { changed: 0, turns: [] };
  }
}

const isTurn = ({ text, answers, shown }) => typeof text === "string" && Array.isArray(answers) && Boolean(answers[shown]);

function ended({ isWriting, ...answer }) {
  return isWriting ? { ...answer, receipt: cutShort(answer.receipt, "error"), problem: BROKEN_OFF } : answer;
}

/** Lets the oldest conversations go where there are too many or too much of them; never for one too long itself. */
function makeRoom(name, size) {
  const others = keptConversations().filter((other) => other.name !== name);
  let room = MOST_CHARACTERS - size;
  if (room < 0) return;
  others.forEach((other, index) => {
    room -= other.size;
    if (index >= MOST - 1 || room < 0) write(BROWSER, other.name, "");
  });
}
