// Nodes of the page.

export const $ = (id) => document.getElementById(id);

/** A node with a class and a text. */
export function make(tag, kind = "", text = "") {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  if (text) node.textContent = text;
  return node;
}

/** A button; `name` where its label does not say what it does. */
export function makeButton(label, act, name = "") {
  const button = make("button", "", label);
  button.type = "button";
  if (name) button.setAttribute("aria-label", name);
  button.addEventListener("click", () => { if (button.getAttribute("aria-disabled") !== "true") act(); });
  return button;
}

/** Unlike `disabled`, this leaves a button the focus. */
export const enable = (button, isEnabled) => button.setAttribute("aria-disabled", String(!isEnabled));
