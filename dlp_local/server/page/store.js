// What this browser keeps: the conversation, the choice of the model, and the key if that is wanted.

const CONVERSATION = "dlp-local.conversation", MODEL = "dlp-local.model", KEY = "dlp-local.key";

function read(store, name) {
  try { return store.getItem(name) ?? ""; } catch { return ""; }
}

/** Whether it could be kept. */
function write(store, name, value) {
  try {
    if (value) store.setItem(name, value); else store.removeItem(name);
    return true;
  } catch { return false; }
}

/** The turns of the conversation that was open, each `{text, answers, shown}`. */
export function keptTurns() {
  try {
    const turns = JSON.parse(read(localStorage, CONVERSATION) || "[]");
    return turns.filter((turn) => typeof turn.text === "string" && Array.isArray(turn.answers) && turn.answers.length);
  } catch { return []; }
}

export const keepTurns = (turns) => write(localStorage, CONVERSATION, turns.length ? JSON.stringify(turns) : "");
export const keptModel = () => read(localStorage, MODEL) || "auto";
export const keepModel = (model) => write(localStorage, MODEL, model);
export const keptKey = () => read(sessionStorage, KEY) || read(localStorage, KEY);

export function keepKey(key, always) {
  write(sessionStorage, KEY, key);
  write(localStorage, KEY, always ? key : "");
}

export function forgetAll() {
  for (const name of [CONVERSATION, MODEL, KEY]) {
    write(localStorage, name, "");
    write(sessionStorage, name, "");
  }
}
