// Markdown as nodes of the page. Everything a model writes becomes text: no HTML is read, no link and no image is made.

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)\s*$/;
const INLINE = /(`+)([^`]|[^`].*?[^`])\1(?!`)|\*\*(?=[^\s*])(.+?)(?<=\S)\*\*|(?<![*\w])\*(?=\p{L})([^*\n]+?)(?<=[\p{L}\d.,;:!?])\*(?![*\w])/su;
const BULLET = /^\s*(?:[-+]\s+(?=\S)|\*\s+(?=[\p{L}"(`]|\*\*\S))/u;
const NUMBER = /^\s*\d{1,9}[.)]\s+(?=\S)/;
const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/;
const QUOTE = /^ {0,3}> ?/;
const BOLD = /\*\*\p{L}[^*\n]*\*\*/u;

/** The nodes of a text. One that shows no sign of Markdown, a command or a line of cron say, stays as it is. */
export function markdown(text) {
  const out = document.createDocumentFragment();
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  if (!lines.some((line) => [FENCE, BULLET, NUMBER, HEADING, QUOTE, BOLD].some((mark) => mark.test(line)))) {
    const plain = document.createElement("p");
    plain.textContent = text;
    out.append(plain);
    return out;
  }
  for (let at = 0; at < lines.length;) {
    at = block(lines, at, out);
  }
  return out;
}

function block(lines, at, out) {
  const line = lines[at];
  if (!line.trim()) return at + 1;
  const fence = FENCE.exec(line);
  if (fence) return code(lines, at + 1, fence[1], out);
  const heading = HEADING.exec(line);
  if (heading) {
    out.append(element(heading[1].length < 3 ? "h3" : "h4", heading[2]));
    return at + 1;
  }
  if (QUOTE.test(line)) return gathered(lines, at, QUOTE, "blockquote", out);
  if (BULLET.test(line)) return list(lines, at, BULLET, "ul", out);
  if (NUMBER.test(line)) return list(lines, at, NUMBER, "ol", out);
  return paragraph(lines, at, out);
}

function code(lines, at, fence, out) {
  const inside = [];
  const end = (line) => line.trim().startsWith(fence) && !line.trim().replaceAll(fence[0], "");
  while (at < lines.length && !end(lines[at])) inside.push(lines[at++]);
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  const node = document.createElement("code");
  node.textContent = inside.join("\n");
  pre.append(node);
  out.append(pre);
  return at + 1;
}

function gathered(lines, at, mark, tag, out) {
  const inside = [];
  while (at < lines.length && mark.test(lines[at])) inside.push(lines[at++].replace(mark, ""));
  out.append(element(tag, inside.join("\n")));
  return at;
}

function list(lines, at, mark, tag, out) {
  const node = document.createElement(tag);
  if (tag === "ol") node.start = parseInt(lines[at].trim(), 10);
  while (at < lines.length && mark.test(lines[at])) {
    const item = [lines[at++].replace(mark, "")];
    while (at < lines.length && /^\s{2,}\S/.test(lines[at]) && !mark.test(lines[at])) item.push(lines[at++].trim());
    node.append(element("li", item.join("\n")));
    if (at + 1 < lines.length && !lines[at].trim() && mark.test(lines[at + 1])) at++;
  }
  out.append(node);
  return at;
}

function paragraph(lines, at, out) {
  const inside = [lines[at++]];
  const isOther = (line) => [FENCE, BULLET, NUMBER, HEADING].some((mark) => mark.test(line));
  while (at < lines.length && lines[at].trim() && !isOther(lines[at])) inside.push(lines[at++]);
  out.append(element("p", inside.join("\n")));
  return at;
}

function element(tag, text) {
  const node = document.createElement(tag);
  inline(text, node);
  return node;
}

function inline(text, out) {
  for (let match; (match = INLINE.exec(text));) {
    out.append(text.slice(0, match.index));
    if (match[1]) {
      const node = document.createElement("code");
      node.textContent = match[2];
      out.append(node);
    } else {
      const node = document.createElement(match[3] ? "strong" : "em");
      inline(match[3] ?? match[4], node);
      out.append(node);
    }
    text = text.slice(match.index + match[0].length);
  }
  out.append(text);
}
