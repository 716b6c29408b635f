// What the page and the widget share: audio in, the button, and the answers, newest first.

import { clearing } from "./clearing.js";
import { csv } from "./csv.js";
import { element, intake } from "./intake.js";
import { offers } from "./offers.js";
import { whileSpeaking } from "./speaking.js";
import { usualVoice } from "./usual.js";
import { NOT_FOR, about, result, sentence } from "./view.js";
import { worthOf } from "./worth.js";

const UNHEARD = "Nothing can be told while you speak.";

// Fills `el` and gives `show`, which is told every answer there is, and `close`.
//
// An answer is a `row` (a file with its prediction, as persona/model/prediction.py gives it, or
// with its error), the `envelope` of its waveform, and the `key` of the recording that is played.
//
// `sources` are those of `intake`; `offered` is persona/app/offered.py's, `example` gives the bytes of
// a clip of it; `columns` are those of each CSV; `hint` stands beside the button until the first
// press, `where` behind each. `answer(file, key, say)` gives an answer once it is shown; on its way it
// says a share from 0 to 1, with a text where it does not yet listen. `clear` forgets every answer
// that there is, and shows none.
//
// `learn(file, person, plain, say)` gives the voice of one who speaks, which is kept if `madeBy`
// names the model that answers; `answer` is then called with it, too.
//
// `live(rate, voice, told)` follows a recording while it is made: it gives `hear(block)` and `end()`,
// and tells an `event` (persona/model/live.py), an `error`, or a `text` while it does not yet listen.
export function app(el, given) {
  const { sources, offered, example, card, columns, hint, where, answer, clear, learn, live, madeBy } =
    given;
  const taking = element("div");
  const trying = element("div", { class: "persona-offers" });
  const speaking = element("div");
  const button = element("button", { type: "button", class: "persona-press", disabled: "" },
    "Make predictions");
  const first = element("span", { class: "persona-faint" }, hint);
  const status = element("p", { role: "status", "aria-live": "polite", class: "persona-status" });
  const bar = element("progress", { max: "1", value: "0", "aria-label": "Progress", hidden: "" });
  const downloads = element("p", { class: "persona-downloads" });
  const results = element("div");
  const usual = element("p", { class: "persona-usual" });
  const own = usualVoice(usual, madeBy);
  const files = new Map(); // by key
  const shown = new Map(); // what is drawn, by key
  let rows = [];
  let saved = false; // what is shown
  let chosen = [];
  let pressed = Promise.resolve();

  const following = (listening) => (share, text = listening) => {
    if (status.textContent !== text) status.textContent = text;
    bar.value = share;
  };

  const learnFrom = async (file, person, plain) => {
    bar.hidden = false;
    try {
      const say = following(`Learning your voice from ${file.name}`);
      own.keep(await learn(file, person, plain, say));
      status.textContent =
        "Your usual voice is kept in this browser, and the next answers are read against it.";
    } catch (error) {
      status.textContent = error.message || `No voice could be learnt from ${file.name}.`;
    }
    bar.hidden = true;
  };

  const recording = (rate, longest) => {
    const { shown, heard, show, say, otherwise } = whileSpeaking(longest);
    let failed = false;
    const { hear, end } = live(rate, own.voice(), ({ event, error, text }) => {
      if (event) return show(event);
      if (text) return say(text);
      failed = true;
      say(`${error || UNHEARD} The recording goes on.`);
    });
    heard(0);
    speaking.replaceChildren(shown);
    return {
      heard(block, seconds) {
        hear(block);
        heard(seconds);
      },
      over() {
        end();
        speaking.replaceChildren();
        return failed ? null : otherwise;
      },
    };
  };

  const press = async (asked) => {
    const began = performance.now();
    const said = [], unanswered = [];
    bar.hidden = false;
    clearAll.button.disabled = true;
    let corrected = "";
    for (const [i, [file, key, otherwise]] of asked.entries()) {
      files.set(key, file);
      const follow = following(`Predicting ${file.name} (${i + 1} of ${asked.length})`);
      const { row } = await answer(file, key, follow, own.voice()).catch(({ message }) => {
        unanswered.push(message);
        return { row: { error: message } };
      });
      if (row.error) continue;
      said.push(sentence(row));
      if (otherwise) corrected = otherwise(row.people);
    }
    bar.hidden = first.hidden = true;
    clearAll.button.disabled = false;
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    status.replaceChildren(
      element("span", { class: "persona-heard" }, said.join(" ")),
      unanswered.join(" ") || ` Done in ${seconds} s ${where}.${corrected}`);
  };

  const pressing = () => {
    const asked = chosen;
    chosen = [];
    button.disabled = true;
    pressed = pressed.then(() => press(asked)); // what is chosen meanwhile comes after
  };
  const clearAll = clearing(
    () => (saved ? 0 : rows.filter(({ error }) => !error).length),
    () => {
      clear();
      status.textContent = "All answers are cleared.";
      focus();
    });

  button.addEventListener("click", pressing);
  downloads.addEventListener("click", () => (saved = true));
  el.classList.add("persona");
  el.replaceChildren(
    taking, trying, speaking,
    element("p", { class: "persona-act" }, button, first),
    usual, status, bar,
    element("div", { class: "persona-kept" }, downloads, clearAll.button), clearAll.dialog, results,
    element("p", { class: "persona-not-for" }, NOT_FOR),
    about(card.limits, card.uses.refused));
  const taken = (files, batch, otherwise) => {
    chosen = files.map((file, i) => [file, `${batch}-${i}`, otherwise]);
    button.disabled = !files.length;
    if (otherwise) pressing();
  };
  const { close, focus, forget, play, take } = intake(taking, { ...sources, taken, recording });
  const predict = (file) => {
    take([file]);
    pressing();
    status.scrollIntoView(); // what is offered is long, and the answer comes below it
  };
  const say = (text) => (status.textContent = text);
  const tried = offers(trying, offered, { example, predict, say });
  return {
    close() {
      close();
      tried.close();
    },
    show(answers) {
      for (const { key, ...one } of answers) {
        if (shown.has(key)) continue;
        saved = false;
        const file = files.get(key);
        shown.set(key, drawn(key, one, {
          play: (start, end) => play(key, start, end),
          learn: file && learn
            ? (...who) => (pressed = pressed.then(() => learnFrom(file, ...who)))
            : undefined,
          worth: (...of) => worthOf(offered.worth, ...of),
        }));
        results.prepend(shown.get(key));
      }
      const there = new Set(answers.map(({ key }) => key));
      for (const [key, section] of shown) {
        if (there.has(key)) continue;
        section.remove();
        forget(key);
        for (const kept of [shown, files]) kept.delete(key);
      }
      rows = answers.map(({ row }) => row);
      clearAll.button.hidden = !rows.length;
      const several = rows.some(({ people }) => people?.length > 1);
      const links = [
        ...(several ? ["file", "person", "turn"] : ["file"]).map((by) =>
          download("csv", "text/csv", csv(rows, columns, by), by === "file" ? "" : ` by ${by}`)),
        download("json", "application/json", `${JSON.stringify(rows, null, 1)}\n`),
      ];
      for (const { href } of downloads.children) URL.revokeObjectURL(href);
      downloads.replaceChildren(...(rows.length ? links : []));
    },
  };
}

function drawn(key, { row, envelope }, acts) {
  return row.error
    ? element("p", { class: "persona-error", role: "alert" }, row.error)
    : result(row, envelope, key, acts);
}

function download(kind, type, text, by = "") {
  const href = URL.createObjectURL(new Blob([text], { type }));
  return element("a", { download: `persona.${kind}`, href }, `Save as ${kind.toUpperCase()}${by}`);
}
