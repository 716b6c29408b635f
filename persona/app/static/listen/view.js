// A prediction as elements of the page: persona/app/html.py, part for part.

import { element } from "./intake.js";

const SVG = "http://www.w3.org/2000/svg";
const percent = (share) => `${Math.round(100 * share)}%`;
const highest = (shares) => Object.entries(shares).reduce((a, b) => (b[1] > a[1] ? b : a));

export const duration = (seconds) => {
  const whole = Math.round(seconds);
  return whole >= 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${seconds.toFixed(1)} s`;
};

export function sentence(name, { emotion, gender, age }) {
  const [[e, p], [g, q]] = [highest(emotion), highest(gender)];
  return `${name}: ${e} ${percent(p)}, ${g} ${percent(q)}, ${age.toFixed()} years.`;
}

// `html` are the constants of persona/app/html.py, `key` names the recording that is played.
export function result(name, predicted, envelope, key, html) {
  const faint = (text) => element("p", { class: "persona-faint" }, text);
  const answer = (what, text) =>
    element("div", {},
      element("dt", {}, what),
      element("dd", { class: `persona-${what.toLowerCase()}` }, text));
  const named = (shares) => {
    const [which, share] = highest(shares);
    return `${which} ${percent(share)}`;
  };
  return element("section", { "aria-label": name, "data-audio": key },
    element("h3", {}, name),
    faint(`${duration(predicted.seconds)}, ${duration(predicted.speech_seconds)} of speech`),
    ...predicted.notes.map(faint),
    element("dl", { class: "persona-answers" },
      answer("Emotion", named(predicted.emotion)),
      answer("Gender", named(predicted.gender)),
      answer("Age", `${predicted.age.toFixed()} years`)),
    quality(predicted),
    element("div", { class: "persona-timed" },
      waveform(predicted, envelope, html.POINTS), element("i", { class: "persona-at" })),
    timeAxis(predicted.seconds, false),
    element("h4", {}, "Emotion"), bars("Emotion", predicted.emotion),
    element("h4", {}, "Gender"), bars("Gender", predicted.gender),
    ...age(predicted, html.OLDEST),
    ...(predicted.timeline.length > 1 ? timeline(predicted) : []));
}

export function about(limits, refused) {
  const list = (title, lines) => [
    element("h4", {}, title), element("ul", {}, ...lines.map((line) => element("li", {}, line)))];
  return element("details", {},
    element("summary", {}, "What this model can and cannot do"),
    ...list("Limits", limits), ...list("Not for", refused));
}

// What the test of this page measured.
export function measured({ clips, exact, decoded, first_seconds, later_seconds, browser }) {
  return (
    `Measured on ${clips} clips: probabilities differ from those of the Python package by at ` +
    `most ${exact[0].toFixed(3)} and ages by ${exact[1].toFixed(2)} years, or ` +
    `${decoded[0].toFixed(3)} and ${decoded[1].toFixed(2)} years where the browser changes ` +
    `the sampling rate or decodes MP3 or M4A. In ${browser}, the first answer took ` +
    `${first_seconds} s, loading included, and the next ${later_seconds} s.`
  );
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
    `farther from the training voices than ${quality.distance_percentile.toFixed()} % of unseen ` +
      "speakers",
  ];
  if (quality.clipped > 0.001) words.push(`${(100 * quality.clipped).toFixed(1)}% clipped`);
  return element("p", { class: "persona-quality" }, `Recording: ${words.join("; ")}.`);
}

function bars(what, shares) {
  const rows = Object.entries(shares).map(([name, share]) => {
    const bar = element("span");
    bar.style.width = `${100 * share}%`;
    return element("tr", {},
      element("th", { scope: "row" }, name),
      element("td", {}, element("div", { class: "persona-bar" }, bar)),
      element("td", { class: "persona-share" }, percent(share)));
  });
  return element("table", { class: "persona-bars", "aria-label": `${what}, probabilities` },
    ...rows);
}

function age({ age, age_low, age_high }, oldest) {
  const [years, low, high] = [age, age_low, age_high].map((x) => x.toFixed());
  const scale = [];
  for (let year = 0; year <= oldest; year += 20) scale.push(element("span", {}, `${year}`));
  return [
    element("h4", {}, "Age"),
    svg(`0 0 ${oldest} 10`, 26, `Age ${years} years, ${low} to ${high}`,
      rectangle(0, 4, oldest, 2, "track"),
      rectangle(age_low, 2, Math.min(age_high, oldest) - age_low, 6, "accent", 0.35),
      rectangle(Math.min(age, oldest) - 0.3, 0, 0.6, 10, "accent")),
    element("div", { class: "persona-scale", "aria-hidden": "true" }, ...scale),
    element("p", { class: "persona-interval" },
      `${years} years; some 8 of 10 unseen actors' ages lie within an interval made like this ` +
        `one, ${low} to ${high}.`),
  ];
}

function waveform({ seconds, speech }, envelope, most) {
  const count = Math.min(most, envelope.length);
  const edge = (i) => Math.floor((i * envelope.length) / count);
  const points = Array.from({ length: count }, (_, i) => envelope.slice(edge(i), edge(i + 1)));
  const low = points.map((part) => Math.min(...part.map(([a]) => a)));
  const high = points.map((part) => Math.max(...part.map(([, b]) => b)));
  const loudest = Math.max(...high, ...low.map((y) => -y), 1e-6);
  const at = (y, i) => `${(1000 * i) / Math.max(1, count - 1)},${-y / loudest}`;
  const outline = [...high.map(at), ...low.map(at).reverse()].join(" ");
  return svg("0 -1 1000 2", 72, "Waveform, shaded where somebody speaks",
    ...speech.map(([a, b]) => span(a, b, seconds, -1, 2, "accent", 0.18)),
    shape("polygon", { points: outline, fill: "var(--accent)" }));
}

const span = (a, b, seconds, top, height, fill, opacity) =>
  rectangle((1000 * a) / seconds, top, (1000 * (b - a)) / seconds, height, fill, opacity);

// All speech, cut where a window ends, with the window that answers for it.
export function spans({ timeline, speech }) {
  return timeline.flatMap((window, i) => {
    const since = timeline[i - 1]?.end ?? window.start;
    return speech
      .map(([a, b]) => [Math.max(a, since), Math.min(b, window.end), window])
      .filter(([a, b]) => b > a);
  });
}

function timeline(predicted) {
  const { timeline: windows, seconds } = predicted;
  const parts = spans(predicted);
  const shades = (name, of) =>
    row(name, `${name} over time, at most ${percent(Math.max(...windows.map(of)))}`,
      parts.map(([a, b, window]) => span(a, b, seconds, 0, 10, "accent", of(window))));
  const ages = windows.map((window) => window.age);
  const young = Math.min(...ages), old = Math.max(...ages);
  const range = `${young.toFixed()}-${old.toFixed()}`;
  const height = (years) => 8 * (1 - (years - young) / Math.max(old - young, 1e-6));
  const rows = [
    ...Object.keys(predicted.emotion).map((name) => shades(name, (w) => w.emotion[name])),
    shades("female", (w) => w.gender.female),
    row(`age ${range}`, `age over time, ${range.replace("-", " to ")} years`,
      parts.map(([a, b, { age }]) => span(a, b, seconds, height(age), 2, "ink", 1))),
  ];
  return [
    element("h4", {}, "Over time"),
    element("p", { class: "persona-faint" },
      "The stronger the colour, the more probable; empty where nobody speaks. Age is drawn from " +
        "its lowest to its highest value."),
    element("div", { class: "persona-timed persona-beside" },
      element("table", { class: "persona-bars", "aria-label": "Over time" }, ...rows),
      element("i", { class: "persona-at" })),
    timeAxis(seconds, true),
  ];
}

function row(name, label, drawn) {
  return element("tr", {},
    element("th", { scope: "row" }, name),
    element("td", { class: "persona-time" },
      svg("0 0 1000 10", 16, label, rectangle(0, 0, 1000, 10, "track"), ...drawn)));
}

function timeAxis(seconds, beside) {
  const own = beside ? " persona-time-axis" : "";
  return element("div", { class: `persona-scale${own}`, "aria-hidden": "true" },
    ...["0 s", duration(seconds / 2), duration(seconds)].map((at) => element("span", {}, at)));
}
