// The conversation on the page: what is said, what is answered, and who answers.

import { Failure, getJson, streamAnswer } from "./api.js";
import { markdown } from "./markdown.js";
import { colorAdapters, make, receiptRows, receiptWords } from "./receipt.js";
import { forgetAll, keepKey, keepModel, keepTurns, keptKey, keptModel, keptTurns } from "./store.js";

const $ = (id) => document.getElementById(id);
const OWN_MIX = "own mix";
const ANOTHER_TEMPERATURE = 0.9; // an adapter's greedy answer would come again

let turns = keptTurns();
let before = null; // the conversation that the last "New conversation" took away
let running = null; // the AbortController of the answer that is being written

// ---- drawing ----

function draw() {
  $("welcome").hidden = turns.length > 0;
  $("turns").replaceChildren(...turns.map(drawTurn));
}

function redraw(turn) {
  const index = turns.indexOf(turn);
  const old = $("turns").children[index];
  if (!old) return;
  const follows = isAtEnd();
  const opened = [...old.querySelectorAll("details")].map((details) => details.open);
  const node = drawTurn(turn, index);
  node.querySelectorAll("details").forEach((details, i) => { details.open = opened[i] ?? false; });
  old.replaceWith(node);
  if (follows) toEnd();
}

const isAtEnd = () => $("conversation").scrollHeight - $("conversation").scrollTop - $("conversation").clientHeight < 48;
const toEnd = () => { $("conversation").scrollTop = $("conversation").scrollHeight; };

function drawTurn(turn, index) {
  const answer = turn.answers[turn.shown];
  const node = make("article", "turn");
  node.setAttribute("aria-label", `Message ${index + 1}`);
  node.append(make("p", "said", turn.text));
  if (answer.reasoning) {
    const reasoning = make("details", "reasoning");
    reasoning.append(make("summary", "", "Reasoning"), make("p", "", answer.reasoning));
    node.append(reasoning);
  }
  const text = make("div", `answer${answer.isWriting && !answer.text ? " writing" : ""}`);
  text.append(markdown(answer.text));
  if (answer.isWriting && answer.text) (text.lastElementChild ?? text).classList.add("writing");
  node.append(text);
  if (!answer.isWriting && !answer.text && !answer.problem) {
    text.append(make("p", "quiet", answer.reasoning ? "The model ended within its reasoning and gave no answer." : "No answer."));
  }
  if (answer.problem) node.append(make("p", "problem", answer.problem));
  if (answer.receipt) node.append(...receiptRows(answer.receipt));
  if (!answer.isWriting) node.append(actions(turn, answer, index === turns.length - 1));
  return node;
}

function actions(turn, answer, isLast) {
  const node = make("div", "actions");
  const button = (label, title, act) => {
    const made = make("button", "", label);
    made.type = "button";
    if (title) made.setAttribute("aria-label", title);
    made.addEventListener("click", act);
    node.append(made);
    return made;
  };
  if (turn.answers.length > 1) {
    const step = (by) => () => { turn.shown += by; keep(); redraw(turn); };
    button("‹", "Answer before", step(-1)).disabled = turn.shown === 0;
    node.append(make("span", "", `${turn.shown + 1}/${turn.answers.length}`));
    button("›", "Answer after", step(1)).disabled = turn.shown === turn.answers.length - 1;
  }
  if (answer.text) {
    button("Copy", "", async (event) => {
      const copied = await copy(answer.text);
      event.target.textContent = copied ? "Copied" : "Select the text to copy it";
      say(copied ? "Copied." : "");
    });
  }
  if (isLast) button("Another answer", "", () => answerTurn(turn)).disabled = running !== null;
  return node;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { return false; }
}

const say = (text) => { $("status").textContent = text; };

function notify(text, isBad = false, label = "", act = () => {}) {
  $("notice").hidden = !text;
  $("notice").className = isBad ? "bad" : "";
  $("notice").textContent = text;
  if (!label) return;
  const button = make("button", "", label);
  button.type = "button";
  button.addEventListener("click", () => { notify(""); act(); });
  $("notice").append(button);
}

function keep() {
  const kept = turns.map((turn) => ({ ...turn, answers: turn.answers.map(({ isWriting, ...answer }) => answer) }));
  if (!keepTurns(kept)) notify("This browser has no room for the conversation: it is gone when the page is closed.", true);
}

// ---- asking ----

const model = () => ($("model").value === OWN_MIX ? $("mix").value.trim() || "auto" : $("model").value);

function send(text) {
  if (running || !text.trim()) return;
  const turn = { text, answers: [], shown: 0 };
  turns.push(turn);
  before = null;
  $("message").value = "";
  grow();
  answerTurn(turn);
}

async function answerTurn(turn) {
  if (running) return;
  const answer = { text: "", reasoning: "", isWriting: true };
  const isAnother = turn.answers.length > 0;
  turn.answers.push(answer);
  turn.shown = turn.answers.length - 1;
  running = new AbortController();
  $("send").hidden = true;
  $("stop").hidden = false;
  notify("");
  draw();
  toEnd();
  keep();
  say("Answering…");
  let paint = 0;
  const changed = () => {
    paint ||= requestAnimationFrame(() => { paint = 0; redraw(turn); });
  };
  try {
    const receipt = await streamAnswer(question(turn, isAnother), keptKey(), running.signal, {
      route: (route) => { answer.receipt = route; changed(); },
      text: (piece) => { answer.text += piece; changed(); },
      reasoning: (piece) => { answer.reasoning += piece; changed(); },
      wasReasoning: () => { answer.reasoning += answer.text; answer.text = ""; changed(); },
    });
    if (receipt) answer.receipt = receipt;
    answer.text = answer.text.trim();
    say(`Answered: ${answer.text.slice(0, 400)}. ${answer.receipt ? receiptWords(answer.receipt) : ""}`);
  } catch (error) {
    if (error.name === "AbortError") {
      answer.receipt = answer.receipt ? { ...answer.receipt, finish_reason: "cancelled" } : undefined;
      if (!answer.receipt && !answer.text) answer.problem = "Stopped before it began.";
      say("Stopped.");
    } else {
      answer.problem = error instanceof Failure ? error.message : `Something unexpected happened (${error.message}). Load the page again.`;
      if (error.status === 401) askForKey(error.message, () => retry(turn, answer));
    }
  } finally {
    cancelAnimationFrame(paint);
    running = null;
    delete answer.isWriting;
    $("send").hidden = false;
    $("stop").hidden = true;
    keep();
    redraw(turn);
  }
}

function retry(turn, failed) {
  turn.answers = turn.answers.filter((answer) => answer !== failed);
  answerTurn(turn);
}

function question(turn, isAnother) {
  const messages = [];
  for (const earlier of turns.slice(0, turns.indexOf(turn))) {
    const answer = earlier.answers[earlier.shown];
    if (answer.text) messages.push({ role: "user", content: earlier.text }, { role: "assistant", content: answer.text });
  }
  messages.push({ role: "user", content: turn.text });
  const another = isAnother ? { temperature: ANOTHER_TEMPERATURE, seed: Math.floor(Math.random() * 2 ** 31) } : {};
  return { model: model(), messages, ...another };
}

// ---- the server ----

async function load() {
  try {
    const [pack, models] = await Promise.all([getJson("/v1/pack", keptKey()), getJson("/v1/models", keptKey())]);
    showPack(pack);
    showModels(models.data, pack.name);
  } catch (error) {
    if (error.status === 401) askForKey(keptKey() ? error.message : "", load);
    else notify(error.message, true, "Try again", load);
  }
}

function showPack(pack) {
  colorAdapters(pack.adapters.map(({ name }) => name));
  $("pack").textContent = pack.name;
  document.title = `dlp-local · ${pack.name}`;
  $("greeting").textContent = pack.greeting || "Each message goes to the adapters that fit it.";
  $("try").hidden = !pack.examples.length;
  $("examples").replaceChildren(...pack.examples.map((text) => {
    const item = make("li"), button = make("button", "", text);
    button.type = "button";
    button.addEventListener("click", () => send(text));
    item.append(button);
    return item;
  }));
  draw();
}

function showModels(models, pack) {
  const options = models.filter(({ id }) => id !== pack).map(({ id, description }) => {
    const option = new Option(id === "auto" ? "routing" : id, id);
    option.title = description ?? "";
    return option;
  });
  $("model").replaceChildren(...options, new Option("a mix by hand…", OWN_MIX));
  const kept = keptModel();
  if (models.some(({ id }) => id === kept)) $("model").value = kept;
  else { $("model").value = OWN_MIX; $("mix").value = kept; }
  $("mix").hidden = $("model").value !== OWN_MIX;
}

function askForKey(reason, then) {
  const dialog = $("key-dialog");
  if (dialog.open) return;
  if (reason) $("key-reason").textContent = reason;
  $("key").value = "";
  $("key-form").onsubmit = () => {
    keepKey($("key").value.trim(), $("keep-key").checked);
    then();
  };
  dialog.showModal();
}

// ---- what the user does ----

function grow() {
  const area = $("message");
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

$("composer").addEventListener("submit", (event) => { event.preventDefault(); send($("message").value.trim()); });
$("message").addEventListener("input", grow);
$("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send($("message").value.trim());
  }
});
$("stop").addEventListener("click", () => { running?.abort(); $("message").focus(); });
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if ($("more").open) $("more").open = false;
  else running?.abort();
});
document.addEventListener("click", (event) => { if (!$("more").contains(event.target)) $("more").open = false; });
$("new").addEventListener("click", () => {
  running?.abort();
  if (turns.length) before = turns;
  turns = [];
  keep();
  draw();
  if (before) notify("A new conversation.", false, "Bring the last one back", () => { turns = before; before = null; keep(); draw(); toEnd(); });
  $("message").focus();
});
$("model").addEventListener("change", () => {
  $("mix").hidden = $("model").value !== OWN_MIX;
  if ($("mix").hidden) keepModel(model());
  else $("mix").focus();
});
$("mix").addEventListener("change", () => keepModel(model()));
$("set-key").addEventListener("click", () => { $("more").open = false; askForKey("", load); });
$("forget").addEventListener("click", () => {
  running?.abort();
  forgetAll();
  turns = [];
  before = null;
  $("model").value = "auto";
  $("mix").hidden = true;
  $("more").open = false;
  draw();
  notify("This browser keeps nothing of dlp-local any more.");
});
$("key-cancel").addEventListener("click", () => $("key-dialog").close());

draw();
toEnd();
load();
$("message").focus();
