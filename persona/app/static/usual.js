// The visitor's own usual voice, against which emotion is read: kept by this browser alone, until it
// is forgotten.

import { element } from "./intake.js";

const PLACE = "persona-voice";

// Fills `el`; gives `voice()`, the one to read against, if any, and `keep(voice)`. A voice that
// another model than `madeBy` learnt is refused.
export function usualVoice(el, madeBy) {
  const kept = () => {
    try {
      return JSON.parse(localStorage.getItem(PLACE));
    } catch {
      return null; // nothing can be kept here, or what was kept is damaged
    }
  };
  const used = element("input", { type: "checkbox", checked: "" });
  const forget = element("button", { type: "button" }, "Forget my voice");
  const voice = () => {
    const found = kept();
    return found?.made_for === madeBy && used.checked ? found : undefined;
  };
  const show = () => {
    const found = kept();
    el.hidden = !found;
    if (!found) return;
    const said = `Read emotion against my usual voice (${phrases(found.phrases)})`;
    el.replaceChildren(
      found.made_for === madeBy
        ? element("label", { class: "persona-used" }, used, said)
        : "The voice that is kept here was learnt by another model: learn it again.",
      forget);
  };
  forget.addEventListener("click", () => {
    localStorage.removeItem(PLACE);
    show();
  });
  show();
  return {
    voice,
    keep(found) {
      localStorage.setItem(PLACE, JSON.stringify(found));
      used.checked = true;
      show();
    },
  };
}

const phrases = (count) => (count === 1 ? "1 phrase" : `${count} different phrases`);
