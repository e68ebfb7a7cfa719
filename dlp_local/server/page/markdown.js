// Markdown as nodes of the page. Everything a model writes becomes text: no HTML is read, no link and no image is made.

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)\s*$/;
const INLINE = /(`+)([^`]|[^`].*?[^`])\1(?!`)|\*\*(?=\S)(.+?)(?<=\S)\*\*|(?<![*\w])\*(?=[^\s*])(.+?)(?<=[^\s*])\*(?![*\w])/s;

/** The nodes of a text. */
export function markdown(text) {
  const out = document.createDocumentFragment();
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
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
  const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
  if (heading) {
    out.append(element(heading[1].length < 3 ? "h3" : "h4", heading[2]));
    return at + 1;
  }
  if (/^ {0,3}>/.test(line)) return gathered(lines, at, /^ {0,3}> ?/, "blockquote", out);
  if (/^\s*[-*+]\s+\S/.test(line)) return list(lines, at, /^\s*[-*+]\s+/, "ul", out);
  if (/^\s*\d{1,9}[.)]\s+\S/.test(line)) return list(lines, at, /^\s*\d{1,9}[.)]\s+/, "ol", out);
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
  while (at < lines.length && lines[at].trim() && !FENCE.test(lines[at]) && !/^(#{1,6}\s|\s*[-*+]\s+\S|\s*\d{1,9}[.)]\s+\S)/.test(lines[at])) {
    inside.push(lines[at++]);
  }
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
