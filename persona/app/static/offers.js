// What there is to try: sentences to read aloud, and clips of actors, to hear and to predict.

import { element } from "./intake.js";
import { onNewSentences } from "./worth.js";

// Fills `el`; gives `close`. `clips` and `sentences` are those of persona/app/offered.py; `example`
// gives the bytes of a clip by its name, `predict` is called with a file, `say` with why there is none.
export function offers(el, { clips, sentences, worth }, { example, predict, say }) {
  let playing;
  const file = async ({ name }) => new File([await example(name)], name);
  const missing = () => say("The clip could not be loaded: check the network.");
  const hear = (found) => {
    const audio = new Audio(URL.createObjectURL(found));
    audio.addEventListener("pause", () => URL.revokeObjectURL(audio.src)); // at its end, too
    playing?.pause();
    playing = audio;
    audio.play();
  };
  const loaded = (act) => (clip) => file(clip).then(act, missing);
  el.replaceChildren(
    ...(sentences ? [toRead(sentences, worth)] : []),
    ...(clips.length ? [toHear(clips, loaded(hear), loaded(predict), worth)] : []));
  return { close: () => playing?.pause() };
}

function toRead(sentences, worth) {
  return element("details", {},
    element("summary", {}, `${sentences.length} sentences to read aloud`),
    element("p", {},
      "Record one of them as if you were angry, disgusted, afraid, happy or sad, or say it plainly."),
    element("ul", { class: "persona-sentences" }, ...sentences.map((one) => element("li", {}, one))),
    element("p", { class: "persona-faint" },
      `The model was trained on these sentences. ${onNewSentences(worth)}`));
}

function toHear(clips, hear, predict, worth) {
  const act = (text, clip, done) => {
    const name = `${text} ${clip.emotion}: ${clip.sentence}`;
    const button = element("button", { type: "button", "aria-label": name }, text);
    button.addEventListener("click", () => done(clip));
    return button;
  };
  const line = (clip) =>
    element("dd", {},
      act("Play", clip, hear), act("Predict", clip, predict), element("q", {}, clip.sentence));
  const emotions = [...new Set(clips.map(({ emotion }) => emotion))];
  const group = (emotion) => [
    element("dt", {}, emotion), ...clips.filter((clip) => clip.emotion === emotion).map(line)];
  return element("details", {},
    element("summary", {}, `${clips.length} clips of actors, by the emotion that was meant`),
    element("dl", { class: "persona-clips" },
      ...emotions.map((emotion) => element("div", {}, ...group(emotion)))),
    ...(worth
      ? [element("p", { class: "persona-faint" },
          "The model was trained on these clips: it may be right here and wrong on you.")]
      : []));
}
