// The dialog that asks for the server's key.

import { $ } from "./dom.js";
import { keepKey } from "./store.js";

/** Asks for the key and keeps it; gives whether one was given. `problem`: what is wrong with the one before. */
export function askForKey(problem = "") {
  const dialog = $("key-dialog");
  $("key-problem").textContent = problem;
  $("key-problem").hidden = !problem;
  $("key").value = "";
  dialog.returnValue = "";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const isGiven = dialog.returnValue === "given";
      if (isGiven) keepKey($("key").value.trim(), $("keep-key").checked);
      resolve(isGiven);
    }, { once: true });
  });
}

$("key-cancel").addEventListener("click", () => $("key-dialog").close());
