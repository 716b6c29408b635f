// A prediction as elements of a document: sharp at any size, in the colours of the page's theme.
// What the model was not trained to answer is null, and has no place.

import { element } from "./intake.js";

export const NOT_FOR =
  "It was trained on acted speech. Do not use it to decide about people, to tell what someone " +
  "feels, or to check who or how old someone is.";

const SVG = "http://www.w3.org/2000/svg";
const OLDEST = 100; // end of the scale that ages are drawn on, in years
export const percent = (share) => `${Math.round(100 * share)}%`;
const faint = (text) => element("p", { class: "persona-faint" }, text);

const duration = (seconds) => {
  const whole = Math.round(seconds);
  return whole >= 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${seconds.toFixed(1)} s`;
};

// The likeliest class and its probability, "happy 73%".
function highest(shares) {
  const [name, share] = Object.entries(shares).reduce((a, b) => (b[1] > a[1] ? b : a));
  return `${name} ${percent(share)}`;
}

// What is answered, in words, by task. An emotion that is less probable than was asked is null too,
// but has its trust.
const words = ({ emotion, trust, gender, age }) => ({
  ...(trust !== null && { emotion: emotion ? highest(emotion) : "not named" }),
  ...(gender && { gender: highest(gender) }),
  ...(age !== null && { age: `${age.toFixed()} years` }),
});

// The same as one would say it. Two emotions that lie this near each other are not told apart.
const NEAR = 0.2;
const LIKELY = 0.6;

function said({ emotion, gender, age, age_low, age_high }) {
  const ranked = (shares) => Object.entries(shares).sort((a, b) => b[1] - a[1]);
  const parts = [];
  if (emotion) {
    const [[first, p], [second, q]] = ranked(emotion);
    parts.push(p - q < NEAR ? `undecided between ${first} and ${second}` : `most like ${first}`);
  }
  if (gender) {
    const [[name, p]] = ranked(gender);
    const likely = `probably a ${name === "female" ? "woman" : "man"}`;
    parts.push(p < LIKELY ? "unclear whether a woman or a man" : likely);
  }
  if (age !== null) parts.push(`probably ${age_low.toFixed()} to ${age_high.toFixed()} years old`);
  const text = parts.join(", ");
  return text && `${text[0].toUpperCase()}${text.slice(1)}.`;
}

export function sentence(row) {
  const told = (one) => `${Object.values(words(one)).join(", ")}.`;
  if (row.people.length === 1) return `${row.file}: ${told(row)}`;
  const each = row.people.map((person, i) => `${called(i)}: ${told(person)}`);
  return `${row.file}: ${row.people.length} people speak. ${each.join(" ")}`;
}

export const called = (i) => `Person ${i + 1}`;

// `key` names the recording that is played, so that its position can be shown; `play(start, end)`
// plays a part of it; `learn(person, plain)`, where it can be, learns the voice of who speaks;
// `worth(probability, brief)` says what such answers are worth, briefly of each of several people.
export function result(row, envelope, key, { play = () => {}, learn, worth = () => "" } = {}) {
  const { people, seconds } = row, alone = people.length === 1;
  const heard = `${duration(seconds)}, ${duration(row.speech_seconds)} of speech`;
  return element("section", { "aria-label": row.file, "data-audio": key },
    element("h3", {}, row.file),
    ...(alone ? inWords(row, worth) : []),
    faint(alone ? heard : `${heard} by ${people.length} people`),
    ...row.notes.filter((note) => alone || !/^\d+ people speak/.test(note)).map(faint),
    quality(row),
    ...(alone
      ? [element("div", { class: "persona-timed" }, waveform(row, envelope), position()),
          timeAxis(seconds, false), ...inNumbers(row, "h4"), ...claims(0, learn)]
      : [...lanes(row, envelope, play),
          element("div", { class: "persona-people" },
            ...people.map((person, i) => card(person, i, learn, worth)))]),
    ...(row.timeline.length > 1 ? timeline(row) : []));
}

export function inWords(one, worth = () => "", brief = false) {
  const title = (task) => task[0].toUpperCase() + task.slice(1);
  const answers = Object.entries(words(one)).map(([task, text]) =>
    element("div", {},
      element("dt", {}, title(task)), element("dd", { class: `persona-${task}` }, text)));
  return [
    element("p", { class: "persona-words" }, said(one)),
    element("dl", { class: "persona-answers" }, ...answers),
    ...[worth(one.emotion && one.trust, brief)].filter(Boolean).map((text) => element("p", { class: "persona-worth" }, text)),
  ];
}

function inNumbers(one, heading) {
  return [
    ...(one.emotion ? bars("Emotion", one.emotion, heading) : []),
    ...(one.gender ? bars("Gender", one.gender, heading) : []),
    ...(one.age === null ? [] : age(one, heading)),
  ];
}

// One of several people.
function card(person, i, learn, worth) {
  const turns = person.turns.length === 1 ? "1 turn" : `${person.turns.length} turns`;
  return element("article", { "aria-label": called(i), class: colour(i) },
    element("h4", {}, called(i)),
    faint(`${duration(person.seconds)} of speech in ${turns}, ${percent(person.share)} of all`),
    ...inWords(person, worth, true),
    ...inNumbers(person, "h5"),
    ...claims(i, learn));
}

// Buttons of those who know the voice for theirs.
function claims(person, learn) {
  if (!learn) return [];
  const button = (text, plain) => {
    const made = element("button", { type: "button" }, text);
    made.addEventListener("click", () => learn(person, plain));
    return made;
  };
  return [
    element("p", { class: "persona-mine" },
      button("This is me", false), button("This is me, speaking plainly", true)),
  ];
}

const COLOURS = 6; // of app.css
export const colour = (i) => `persona-person-${i % COLOURS}`;
const position = () => element("i", { class: "persona-at" });

// The waveform and, below it, a lane for each person, whose turns play when they are clicked.
function lanes({ people, seconds, speech }, envelope, play) {
  const row = (name, own, drawn) =>
    element("tr", { class: own },
      element("th", { scope: "row" }, name),
      element("td", { class: "persona-time" }, drawn));
  const turn = (name, { start, end, emotion }) => {
    const feels = emotion ? highest(emotion) : "not named";
    const label = `${name}, ${start.toFixed(1)} to ${end.toFixed(1)} s, ${feels}: play`;
    const made = element("button", { type: "button", "aria-label": label, title: label },
      element("span", {}, feels.split(" ")[0]));
    made.style.left = `${(100 * start) / seconds}%`;
    made.style.width = `${(100 * (end - start)) / seconds}%`;
    made.addEventListener("click", () => play(start, end));
    return made;
  };
  const lane = ({ turns }, i) =>
    row(called(i), colour(i),
      element("div", { class: "persona-lane" }, ...turns.map((one) => turn(called(i), one))));
  return [
    element("div", { class: "persona-timed persona-beside" },
      element("table", { class: "persona-bars persona-lanes", "aria-label": "Who speaks when" },
        row("All", "", waveform({ seconds, speech }, envelope)),
        ...people.map(lane)),
      position()),
    timeAxis(seconds, true),
    faint("Each person has a lane; a click on a turn plays it."),
  ];
}

// What the model's card says it cannot do and is not for, folded.
export function about(limits, refused) {
  const list = (title, lines) => [
    element("h4", {}, title), element("ul", {}, ...lines.map((line) => element("li", {}, line)))];
  return element("details", {},
    element("summary", {}, "What this model can and cannot do"),
    ...list("Limits", limits), ...list("Not for", refused));
}

function svg(box, height, label, ...shapes) {
  const made = document.createElementNS(SVG, "svg");
  const attributes = { viewBox: box, height, preserveAspectRatio: "none", role: "img" };
  for (const [name, value] of Object.entries({ ...attributes, "aria-label": label }))
    made.setAttribute(name, value);
  made.append(...shapes);
  return made;
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const rectangle = (x, y, width, height, fill, opacity = 1) =>
  shape("rect", { x, y, width, height, fill: `var(--${fill})`, opacity });

function quality({ quality }) {
  const words = [
    `level ${quality.level.toFixed()} dB`,
    `${quality.snr.toFixed()} dB above the noise`,
    `up to ${(quality.bandwidth / 1000).toFixed(1)} kHz`,
  ];
  if (quality.clipped > 0.001) words.push(`${(100 * quality.clipped).toFixed(1)}% clipped`);
  return element("p", { class: "persona-quality" }, `Recording: ${words.join("; ")}.`);
}

export function bars(what, shares, heading) {
  const rows = Object.entries(shares).map(([name, share]) => {
    const bar = element("span");
    bar.style.width = `${100 * share}%`;
    return element("tr", {},
      element("th", { scope: "row" }, name),
      element("td", {}, element("div", { class: "persona-bar" }, bar)),
      element("td", { class: "persona-share" }, percent(share)));
  });
  return [
    element(heading, {}, what),
    element("table", { class: "persona-bars", "aria-label": `${what}, probabilities` }, ...rows),
  ];
}

function age({ age, age_low, age_high }, heading) {
  const [years, low, high] = [age, age_low, age_high].map((x) => x.toFixed());
  const scale = [];
  for (let year = 0; year <= OLDEST; year += 20) scale.push(element("span", {}, `${year}`));
  return [
    element(heading, {}, "Age"),
    svg(`0 0 ${OLDEST} 10`, 26, `Age ${years} years, ${low} to ${high}`,
      rectangle(0, 4, OLDEST, 2, "track"),
      rectangle(age_low, 2, Math.min(age_high, OLDEST) - age_low, 6, "accent", 0.35),
      rectangle(Math.min(age, OLDEST) - 0.3, 0, 0.6, 10, "accent")),
    element("div", { class: "persona-scale", "aria-hidden": "true" }, ...scale),
    element("p", { class: "persona-interval" },
      `Probably between ${low} and ${high}, ${years} at a guess. Such ranges are made to hold the ` +
        "ages of 8 in 10 unseen actors."),
  ];
}

// Lowest and highest sample over time, at the height of the loudest; shaded where speech is.
function waveform({ seconds, speech }, envelope) {
  const loudest = Math.max(...envelope.map(([low, high]) => Math.max(-low, high)), 1e-6);
  const last = Math.max(1, envelope.length - 1);
  const edge = (side) => envelope.map((y, i) => `${(1000 * i) / last},${-y[side] / loudest}`);
  const points = [...edge(1), ...edge(0).reverse()].join(" ");
  return svg("0 -1 1000 2", 72, "Waveform, shaded where somebody speaks",
    ...speech.map(([a, b]) => span(a, b, seconds, -1, 2, "accent", 0.18)),
    shape("polygon", { points, fill: "var(--accent)" }));
}

const span = (a, b, seconds, top, height, fill, opacity) =>
  rectangle((1000 * a) / seconds, top, (1000 * (b - a)) / seconds, height, fill, opacity);

// All speech, cut where a window ends, with the window that answers for it. Of several people, whose
// windows may lie within each other, each one's own.
function spans({ timeline, speech, people }) {
  const alone = people.length === 1;
  const own = people.map(({ turns }) => turns.flatMap((turn) => turn.speech));
  return timeline.flatMap((window, i) => {
    const since = (alone && timeline[i - 1]?.end) || window.start;
    return (alone ? speech : own[window.person - 1])
      .map(([a, b]) => [Math.max(a, since), Math.min(b, window.end), window])
      .filter(([a, b]) => b > a);
  });
}

// A row for each emotion, for gender and for age, coloured where somebody speaks.
function timeline(predicted) {
  const { timeline: windows, seconds, people } = predicted;
  const parts = spans(predicted);
  const own = ({ person }) => (people.length > 1 ? colour(person - 1) : "accent");
  const shades = (name, of) =>
    strip(name, `${name} over time, at most ${percent(Math.max(...windows.map(of)))}`,
      parts.map(([a, b, window]) => span(a, b, seconds, 0, 10, own(window), of(window))));
  const ages = () => {
    const years = windows.map((window) => window.age);
    const [young, old] = [Math.min(...years), Math.max(...years)];
    const [low, high] = [young.toFixed(), old.toFixed()];
    const height = (year) => 8 * (1 - (year - young) / Math.max(old - young, 1e-6));
    return strip(`age ${low}-${high}`, `age over time, ${low} to ${high} years`,
      parts.map(([a, b, { age }]) => span(a, b, seconds, height(age), 2, "ink", 1)));
  };
  const { emotion, gender, age } = windows[0];
  const strips = [
    ...Object.keys(emotion ?? {}).map((name) => shades(name, (w) => w.emotion[name])),
    ...(gender ? [shades("female", (w) => w.gender.female)] : []),
    ...(age === null ? [] : [ages()]),
  ];
  return [
    element("h4", {}, "Over time"),
    faint("The stronger the colour, the more probable; empty where nobody speaks. Age is drawn " +
      "from its lowest to its highest value."),
    element("div", { class: "persona-timed persona-beside" },
      element("table", { class: "persona-bars", "aria-label": "Over time" }, ...strips),
      position()),
    timeAxis(seconds, true),
  ];
}

function strip(name, label, drawn) {
  return element("tr", {},
    element("th", { scope: "row" }, name),
    element("td", { class: "persona-time" },
      svg("0 0 1000 10", 16, label, rectangle(0, 0, 1000, 10, "track"), ...drawn)));
}

export function timeAxis(seconds, beside) {
  const own = beside ? " persona-time-axis" : "";
  return element("div", { class: `persona-scale${own}`, "aria-hidden": "true" },
    ...["0 s", duration(seconds / 2), duration(seconds)].map((at) => element("span", {}, at)));
}
