// What is kept in this browser, for good or until the tab is closed. A browser may refuse to keep anything.

export const BROWSER = "localStorage", TAB = "sessionStorage";
const ALL = "dlp-local.", MODEL = `${ALL}model`, KEY = `${ALL}key`, DRAFT = `${ALL}draft`;

export function read(store, name) {
  try { return window[store].getItem(name) ?? ""; } catch { return ""; }
}

/** Keeps a text, or nothing any more where it is empty; gives whether that could be done. */
export function write(store, name, text) {
  try {
    if (text) window[store].setItem(name, text); else window[store].removeItem(name);
    return true;
  } catch { return false; }
}

/** The names in a store that begin like this. */
export function names(store, beginning) {
  try { return Object.keys(window[store]).filter((name) => name.startsWith(beginning)); } catch { return []; }
}

export const keptModel = () => read(BROWSER, MODEL) || "auto";
export const keepModel = (model) => write(BROWSER, MODEL, model);
export const keptDraft = () => read(TAB, DRAFT);
export const keepDraft = (text) => write(TAB, DRAFT, text);
export const keptKey = () => read(TAB, KEY) || read(BROWSER, KEY);

export function keepKey(key, always) {
  write(TAB, KEY, key);
  write(BROWSER, KEY, always ? key : "");
}

export function forgetAll() {
  for (const store of [BROWSER, TAB]) {
    for (const name of names(store, ALL)) write(store, name, "");
  }
}
