// Who answers: the router, one adapter, or a mix by hand.

import { $ } from "./dom.js";
import { keepModel, keptModel } from "./store.js";

const OWN_MIX = "own mix";

/** The model that is asked; empty where a mix by hand is to be written yet. */
export const model = () => ($("model").value === OWN_MIX ? $("mix").value.trim() : $("model").value);

/** Offers the server's models, and has the one that was chosen last time chosen. */
export function showModels(models, pack) {
  const options = models.filter(({ id }) => id !== pack).map(({ id, description }) => {
    const option = new Option(id === "auto" ? "routing" : id, id);
    option.title = description ?? "";
    return option;
  });
  $("model").replaceChildren(...options, new Option("a mix by hand…", OWN_MIX));
  choose(keptModel());
}

/** Chooses a model by its name, or writes it as a mix where it has none. */
export function choose(name) {
  $("model").value = name;
  if (!$("model").value) {
    $("model").value = OWN_MIX;
    $("mix").value = name;
  }
  $("mix").hidden = $("model").value !== OWN_MIX;
}

$("model").addEventListener("change", () => {
  $("mix").hidden = $("model").value !== OWN_MIX;
  if ($("mix").hidden) keepModel(model());
  else $("mix").focus();
});
$("mix").addEventListener("change", () => keepModel(model()));
