// How an answer came about: the mix as a bar and in words, and all else on demand.

import { make } from "./dom.js";

const TONES = 12;
const SHOWN = 0.0005; // a probability that three decimals show
let order = [];
const ENDINGS = {
  length: "cut off at the limit", loop: "stopped: it repeated itself", cancelled: "stopped", error: "broken off",
};

/** The rows under an answer: one, or one for each part of a message of several tasks. */
export function receiptRows(receipt) {
  const parts = receipt.parts ?? [];
  const rows = parts.length ? parts : [receipt];
  return rows.map((row, index) => receiptRow(row, parts.length ? index + 1 : 0, index ? null : receipt));
}

/** The receipt of an answer that ended before the server sent one, from what it said at the beginning. */
export function cutShort(receipt, reason) {
  if (!receipt) return undefined;
  const parts = receipt.parts?.map((part, index, all) => (index === all.length - 1 ? { ...part, finish_reason: reason } : part));
  return { ...receipt, parts, finish_reason: reason };
}

/** What a receipt says in one line: `shell 1.00 · 2 ms route · 9 ms first token · 400 tok/s`. */
export function receiptWords(row, whole = row) {
  const words = [mixWords(row.mix)];
  const wasRouted = Object.keys(row.probabilities ?? {}).length > 0;
  if (whole && wasRouted && whole.timings_ms) words.push(`${milliseconds(whole.timings_ms.route)} route`);
  if (row.tokens?.answer) words.push(`${milliseconds(row.timings_ms.first_token)} first token`);
  const speed = tokensPerSecond(row);
  if (speed) words.push(`${Math.round(speed)} tok/s`);
  if (ENDINGS[row.finish_reason]) words.push(ENDINGS[row.finish_reason]);
  return words.join(" · ");
}

function mixWords(mix) {
  return byWeight(mix).map(([name, weight]) => `${name} ${weight.toFixed(2)}`).join(" · ");
}

function byWeight(mix) {
  return Object.entries(mix).sort((a, b) => b[1] - a[1]);
}

function milliseconds(value) {
  if (value >= 10000) return `${(value / 1000).toFixed(1)} s`;
  return value >= 1 ? `${Math.round(value)} ms` : "<1 ms";
}

function tokensPerSecond(row) {
  const times = row.timings_ms ?? {};
  const seconds = (times.total - times.first_token) / 1000;
  const tokens = (row.tokens?.answer ?? 0) - 1;
  return tokens > 0 && seconds > 0 ? tokens / seconds : 0;
}

function receiptRow(row, number, whole) {
  const node = make("div", "receipt");
  if (number) node.append(make("p", "part", `${number}. ${row.text}`));
  const bar = make("div", "bar");
  bar.setAttribute("aria-hidden", "true");
  for (const [name, weight] of byWeight(row.mix)) {
    const piece = make("span", tone(name));
    piece.style.flexGrow = String(weight);
    bar.append(piece);
  }
  const details = make("details");
  details.append(make("summary", "", receiptWords(row, whole)), more(row));
  node.append(bar, details);
  return node;
}

function more(row) {
  const node = make("div", "more");
  const probabilities = Object.entries(row.probabilities ?? {});
  node.append(probabilities.length ? table(probabilities, row.mix) : make("p", "", "The mix was given by hand."));
  const times = row.timings_ms ?? {};
  const facts = [
    ["Encoder", times.embed !== undefined && probabilities.length ? `${times.embed.toFixed(1)} ms` : ""],
    ["Router", times.router !== undefined && probabilities.length ? `${times.router.toFixed(1)} ms` : ""],
    ["First token", times.first_token ? milliseconds(times.first_token) : ""],
    ["Answer", times.total ? milliseconds(times.total) : ""],
    ["Tokens", row.tokens ? `${row.tokens.prompt} read${kept(row.tokens)}, ${row.tokens.answer} written` : ""],
    ["Context", row.context?.size ? `${row.context.used} of ${row.context.size}` : ""],
    ["Engine", row.engine],
  ].filter(([, value]) => value);
  if (facts.length) {
    const list = make("dl");
    for (const [name, value] of facts) list.append(make("dt", "", name), make("dd", "", value));
    node.append(list);
  }
  return node;
}

function kept(tokens) {
  return tokens.cached ? ` (${tokens.cached} of them kept from before)` : "";
}

function table(probabilities, mix) {
  const node = make("table");
  node.append(make("caption", "unseen", "The router's probabilities, and the mix made of them"));
  const head = make("tr");
  for (const [title, kind] of [["Adapter", ""], ["Probability", "number"], ["", ""], ["Weight", "number"]]) {
    const cell = make("th", kind, title);
    cell.scope = "col";
    head.append(cell);
  }
  const ranked = probabilities.sort((a, b) => b[1] - a[1]);
  const shown = ranked.filter(([name, p], index) => index < 2 || p >= SHOWN || mix[name]);
  const rows = shown.map(([name, p]) => {
    const row = make("tr");
    const label = make("th");
    label.scope = "row";
    label.append(make("span", `dot ${tone(name)}`), name);
    const meter = make("td", "meter");
    meter.setAttribute("aria-hidden", "true");
    const fill = make("div", tone(name));
    fill.style.width = `${p * 100}%`;
    meter.append(fill);
    const weight = mix[name];
    row.append(label, make("td", "number", p.toFixed(3)), meter, make("td", "number", weight ? weight.toFixed(2) : "–"));
    return row;
  });
  const body = make("tbody");
  body.append(...rows);
  if (shown.length < ranked.length) {
    const left = make("td", "", `and ${ranked.length - shown.length} less probable`);
    left.colSpan = 4;
    const row = make("tr");
    row.append(left);
    body.append(row);
  }
  const top = make("thead");
  top.append(head);
  node.append(top, body);
  return node;
}

/** Gives adapters their colors, in this order; those of other packs come after them. */
export function colorAdapters(names) {
  order = [...names];
}

function tone(name) {
  if (name === "base") return "tone-base";
  if (!order.includes(name)) order.push(name);
  return `tone-${order.indexOf(name) % TONES}`;
}
