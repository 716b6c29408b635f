// A button that clears all answers, and asks first where some are not saved.

import { element } from "./intake.js";

// Gives `button` and `dialog`; `unsaved` says how many answers would be lost.
export function clearing(unsaved, clear) {
  const button = element("button", { type: "button", class: "persona-clear", hidden: "" }, "Clear all");
  const question = element("p", { id: `persona-clear-${Math.random().toString(36).slice(2)}` });
  const dialog = element("dialog", { "aria-labelledby": question.id },
    element("form", { method: "dialog" }, question,
      element("button", { value: "clear" }, "Clear all"),
      element("button", { value: "", autofocus: "" }, "Keep them")));
  button.addEventListener("click", () => {
    const count = unsaved();
    if (!count) return clear();
    const answers = count === 1 ? "1 answer that is" : `${count} answers that are`;
    question.textContent = `Clear ${answers} not saved?`;
    dialog.returnValue = ""; // as Escape leaves it
    dialog.showModal();
  });
  dialog.addEventListener("close", () => dialog.returnValue === "clear" && clear());
  return { button, dialog };
}
