// What is known of those who speak while they do: lanes that grow, and what is heard in the latest
// turn of each. All of it is provisional; the answer to the recording takes its place.

import { element } from "./intake.js";
import { bars, called, colour, inWords, timeAxis } from "./view.js";

const SHOWN = 10; // seconds that the lanes are long at least
const SPEAK = "Speak, and see what is heard.";
const LATE = 2; // seconds behind the recording from which on that is said

const likeliest = (shares) => Object.entries(shares).reduce((a, b) => (b[1] > a[1] ? b : a))[0];
const feels = ({ emotion }) => (emotion ? likeliest(emotion) : "not named");
const alike = (one, other) => one.person === other.person && feels(one) === feels(other);
const told = (turn) =>
  `${called(turn.person - 1)}, ${turn.start.toFixed(1)} to ${turn.end.toFixed(1)} s: ${feels(turn)}`;

// Gives `shown`, an element; `heard(seconds)` is called as a recording of at most `longest` seconds
// goes on, `show(event)` with what is known of it (persona/model/live.py), `say(text)` with why not.
// `otherwise(people)` is a sentence on turns of which the answer says something else, if there are any.
export function whileSpeaking(longest) {
  const clock = element("p", { class: "persona-faint" });
  const said = element("p", { class: "persona-faint" }, SPEAK);
  const drawn = element("div");
  const corrections = element("p", { class: "persona-faint" });
  const aloud = element("p", { class: "persona-heard", role: "status", "aria-live": "polite" });
  const turns = new Map(); // by their start
  let until = 0; // seconds that are known

  // Keeps what an event tells of turns; gives what of it is said aloud, which is what is no longer
  // provisional.
  const learn = ({ turns: changed, gone }) => {
    for (const start of gone) turns.delete(start);
    return changed.flatMap((turn) => {
      const before = turns.get(turn.start), text = told(turn);
      const corrected = turn.corrected && !alike(turn, before);
      turns.set(turn.start, { ...turn, corrected: corrected || before?.corrected });
      if (corrected) corrections.textContent = `Corrected: ${text}.`;
      return corrected ? [`Corrected: ${text}.`] : turn.closed && !before?.closed ? [`${text}.`] : [];
    });
  };

  return {
    shown: element("div", { class: "persona-speaking", role: "group", "aria-label": "While you speak" },
      clock, said, drawn, corrections, aloud),
    heard(seconds) {
      const behind = seconds - until;
      clock.textContent = `Recording, ${Math.floor(seconds)} of at most ${longest} s` +
        (until && behind > LATE
          ? `. What is shown is ${behind.toFixed()} s old, the recording is whole.`
          : "");
    },
    show(event) {
      until = event.at;
      const news = learn(event);
      if (news.length) aloud.textContent = news.join(" ");
      said.textContent = event.people.length
        ? "Hatched turns may still change; underlined ones were corrected."
        : SPEAK;
      const seconds = Math.max(SHOWN, event.at), known = [...turns.values()];
      const of = (i) => known.filter(({ person }) => person === i + 1);
      drawn.replaceChildren(
        ...growing(event.people.map((_, i) => of(i)), seconds),
        element("div", { class: "persona-people" },
          ...event.people.map((person, i) => latest(person, of(i).at(-1), i))));
    },
    say(text) {
      until = 0; // nothing is to come
      said.textContent = text;
    },
    otherwise(people) {
      const answered = people.flatMap(({ turns }, i) =>
        turns.map((turn) => ({ ...turn, person: i + 1 })));
      const right = (turn) => answered.some((one) =>
        alike(one, turn) && one.start < turn.end && turn.start < one.end);
      const changed = [...turns.values()].filter((turn) => !right(turn)).length;
      if (!changed) return "";
      return turns.size === 1
        ? " The turn shown meanwhile was corrected."
        : ` Of the ${turns.size} turns shown meanwhile, ${changed} ` +
            `${changed === 1 ? "was" : "were"} corrected.`;
    },
  };
}

function growing(people, seconds) {
  const turn = (one) => {
    const kind = `${one.closed ? "" : " persona-open"}${one.corrected ? " persona-corrected" : ""}`;
    const made = element("span", { class: `persona-turn${kind}`, title: told(one) }, feels(one));
    made.style.left = `${(100 * one.start) / seconds}%`;
    made.style.width = `${(100 * (one.end - one.start)) / seconds}%`;
    return made;
  };
  const lane = (own, i) =>
    element("tr", { class: colour(i) },
      element("th", { scope: "row" }, called(i)),
      element("td", { class: "persona-time" },
        element("div", { class: "persona-lane" }, ...own.map(turn))));
  if (!people.length) return [];
  return [
    element("table", { class: "persona-bars persona-lanes", "aria-label": "Who speaks" },
      ...people.map(lane)),
    timeAxis(seconds, true),
  ];
}

// What is heard of a person: emotion in their latest turn, gender and age in all.
function latest(person, turn, i) {
  const one = { ...person, emotion: turn?.emotion ?? null };
  return element("article", { class: colour(i), "aria-label": called(i) },
    element("h3", {}, called(i)),
    ...inWords(one),
    ...(one.emotion ? bars("Emotion in the latest turn", one.emotion, "h4") : []));
}
