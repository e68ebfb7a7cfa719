// The conversation on the page: what is said, what is answered, and who answers.

import { Failure, getJson, streamAnswer } from "./api.js";
import { Conversation, keepOpen, keptConversations, openedConversation } from "./conversation.js";
import { $, make, makeButton } from "./dom.js";
import { askForKey } from "./key.js";
import { choose, model, showModels } from "./model.js";
import { colorAdapters, cutShort, receiptWords } from "./receipt.js";
import { forgetAll, keepDraft, keptDraft, keptKey } from "./store.js";
import { TurnView } from "./turn.js";

const KEEP_EVERY_MS = 1000; // of an answer that grows

let conversation = openedConversation();
let running = null; // the AbortController of the answer that is being written
const views = []; // one for each turn

// ---- drawing ----

/** Shows the conversation as it is, or those of its turns that changed. */
function draw(changed = conversation.turns) {
  const { turns } = conversation;
  const follows = isAtEnd();
  $("welcome").hidden = turns.length > 0;
  if (!turns.length) drawEarlier();
  views.splice(turns.length).forEach(({ node }) => node.remove());
  turns.forEach((turn, index) => {
    if (!changed.includes(turn)) return;
    views[index] ??= addView(index + 1);
    views[index].show(turn, index === turns.length - 1);
  });
  if (follows) toEnd();
}

const isAtEnd = () => $("conversation").scrollHeight - $("conversation").scrollTop - $("conversation").clientHeight < 48;
const toEnd = () => { $("conversation").scrollTop = $("conversation").scrollHeight; };

function addView(number) {
  const view = new TurnView(number, { step, edit, say, again: answerTurn });
  $("turns").append(view.node);
  return view;
}

function drawEarlier() {
  const earlier = keptConversations();
  $("earlier-title").hidden = !earlier.length;
  $("earlier").replaceChildren(...earlier.map(({ name, turns, changed }) => {
    const when = changed ? new Date(changed).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" }) : "";
    return choice(() => goTo(new Conversation(name)), make("span", "", turns[0].text.slice(0, 200)), make("span", "quiet", when));
  }));
}

function choice(act, ...content) {
  const item = make("li"), button = makeButton("", act);
  button.append(...content);
  item.append(button);
  return item;
}

const say = (text) => { $("status").textContent = text; };

function notify(text, isBad = false, label = "", act = () => {}) {
  $("notice").hidden = !text;
  $("notice").className = isBad ? "bad" : "";
  $("notice").textContent = text;
  if (label) $("notice").append(makeButton(label, () => { notify(""); $("message").focus(); act(); }));
}

// ---- the conversation ----

function keep(kept = conversation) {
  if (!kept.keep()) notify("This browser has no room for the conversation: it is gone when the page is closed.", true);
  if (kept === conversation) keepOpen(kept.name);
}

function goTo(next) {
  conversation = next;
  keepOpen(next.name);
  notify("");
  views.length = 0;
  $("turns").replaceChildren();
  draw();
  $("message").focus();
}

function startAnew() {
  running?.abort();
  const last = conversation;
  goTo(new Conversation());
  if (last.turns.length) notify("A new conversation.", false, "Bring the last one back", () => goTo(last));
}

function step(turn, by) {
  turn.shown += by;
  keep();
  draw([turn]);
}

/** Takes a message that has no answer back into the box, before what is written there. */
function edit(turn) {
  conversation.turns = conversation.turns.filter((other) => other !== turn);
  keep();
  draw();
  setMessage([turn.text, $("message").value].filter(Boolean).join("\n\n"));
  $("message").focus();
}

// ---- asking ----

/** Whether something can be asked now; what is missing is said. */
function isReady() {
  if (running) return false;
  if (model()) return true;
  notify("Write the mix first: adapters and their weights, such as sql=0.7,shell=0.3.", true);
  $("mix").focus();
  return false;
}

/** Gives whether the message is on its way. */
function send(text) {
  if (!text || !isReady()) return false;
  const turn = { text, answers: [], shown: 0 };
  conversation.turns.push(turn);
  answerTurn(turn);
  return true;
}

async function answerTurn(turn) {
  if (!isReady()) return;
  const here = conversation, answer = { text: "", reasoning: "", isWriting: true };
  const body = { model: model(), ...here.question(turn) };
  turn.answers = [...turn.answers.filter(({ text, reasoning }) => text || reasoning), answer];
  turn.shown = turn.answers.length - 1;
  run(new AbortController());
  notify("");
  draw();
  toEnd();
  keep();
  say("Answering…");
  let paint = 0, saving = 0, wantsKey = false;
  const changed = () => {
    paint ||= requestAnimationFrame(() => { paint = 0; draw([turn]); });
    saving ||= setTimeout(() => { saving = 0; here.keep(); }, KEEP_EVERY_MS);
  };
  try {
    const receipt = await streamAnswer(body, keptKey(), running.signal, {
      route: (route) => { answer.receipt = route; changed(); },
      text: (piece) => { answer.text += piece; changed(); },
      reasoning: (piece) => { answer.reasoning += piece; changed(); },
      wasReasoning: () => { answer.reasoning += answer.text; answer.text = ""; changed(); },
    });
    if (receipt) answer.receipt = receipt;
    answer.text = answer.text.trim();
    say(`Answered: ${answer.text.slice(0, 400)}. ${answer.receipt ? receiptWords(answer.receipt) : ""}`);
    if (!$("pack").textContent) load();
  } catch (error) {
    if (error.name === "AbortError") {
      answer.receipt = cutShort(answer.receipt, "cancelled");
      if (!answer.receipt && !answer.text) answer.problem = "Stopped before it began.";
    } else {
      answer.receipt = error.receipt ?? cutShort(answer.receipt, "error");
      answer.problem = error instanceof Failure ? error.message : `Something unexpected happened (${error.message}). Load the page again.`;
    }
    say(answer.problem ?? "Stopped.");
    wantsKey = error.status === 401;
  } finally {
    cancelAnimationFrame(paint);
    clearTimeout(saving);
    run(null);
    delete answer.isWriting;
    keep(here);
    draw([turn]);
  }
  if (wantsKey && await getKey(answer.problem) && await load() && conversation.turns.includes(turn)) answerTurn(turn);
}

/** Says what runs, nothing where it is null; Send and Stop take each other's place, and the focus goes along. */
function run(controller) {
  running = controller;
  const [comes, goes] = running ? [$("stop"), $("send")] : [$("send"), $("stop")];
  const hasFocus = document.activeElement === goes;
  comes.hidden = false;
  goes.hidden = true;
  if (hasFocus) comes.focus();
}

// ---- the server ----

/** Gives whether the server said what it has. */
async function load() {
  try {
    const [pack, models] = await Promise.all([getJson("/v1/pack", keptKey()), getJson("/v1/models", keptKey())]);
    showPack(pack);
    showModels(models.data, pack.name);
    return true;
  } catch (error) {
    if (error.status === 401) return (await getKey(error.message)) && load();
    notify(error.message, true, "Try again", load);
    return false;
  }
}

/** Gives whether the user gave a key for the server that refused. */
async function getKey(problem) {
  const isGiven = await askForKey(keptKey() ? problem : "");
  if (isGiven) notify(""); else notify("This server answers nobody without its API key.", true, "Give the key", load);
  $("message").focus();
  return isGiven;
}

function showPack(pack) {
  colorAdapters(pack.adapters.map(({ name }) => name));
  $("pack").textContent = pack.name;
  document.title = `dlp-local · ${pack.name}`;
  $("greeting").textContent = pack.greeting || "Each message goes to the adapters that fit it.";
  $("try").hidden = !pack.examples.length;
  $("examples").replaceChildren(...pack.examples.map((text) => choice(() => {
    if (send(text)) $("message").focus();
  }, text)));
  draw();
}

// ---- what the user does ----

function setMessage(text) {
  $("message").value = text;
  messageChanged();
}

/** Keeps the draft, and fits the box to it. */
function messageChanged() {
  const area = $("message");
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
  keepDraft(area.value);
}

function sendMessage() {
  if (send($("message").value.trim())) setMessage("");
}

function closeMenu() {
  const hasFocus = $("more").contains(document.activeElement);
  $("more").open = false;
  if (hasFocus) $("more").firstElementChild.focus();
}

$("composer").addEventListener("submit", (event) => { event.preventDefault(); sendMessage(); });
$("message").addEventListener("input", messageChanged);
$("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    sendMessage();
  }
});
$("stop").addEventListener("click", () => { running?.abort(); $("message").focus(); });
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if ($("more").open) closeMenu();
  else running?.abort();
});
document.addEventListener("click", (event) => { if (!$("more").contains(event.target)) $("more").open = false; });
$("new").addEventListener("click", startAnew);
$("set-key").addEventListener("click", async () => {
  closeMenu();
  if (await askForKey()) load();
});
$("forget").addEventListener("click", () => {
  running?.abort();
  closeMenu();
  conversation.turns = [];
  goTo(new Conversation());
  forgetAll();
  choose("auto");
  draw();
  notify("This browser keeps nothing of dlp-local any more.");
});
$("turns").addEventListener("click", (event) => {
  const details = event.target.closest("summary")?.parentElement;
  requestAnimationFrame(() => { if (details?.open) details.scrollIntoView({ block: "nearest" }); });
});
addEventListener("storage", (event) => { if (!running && conversation.adopt(event)) draw(); });
addEventListener("pagehide", () => { if (running) keep(); });

keepOpen(conversation.name);
setMessage($("message").value || keptDraft());
draw();
load();
$("message").focus();
