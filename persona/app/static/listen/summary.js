// From what was heard of each person to what is answered of them, and of the recording:
// persona/model/summary.py.

import { end, start } from "./diarisation.js";

const named = (names, values) => Object.fromEntries(names.map((name, i) => [name, values[i]]));
export const weighed = (said) => said.reduce((sum, { weight }) => sum + weight, 0);

// np.interp: straight lines through (xs, ys), level beyond the ends.
function interpolate(x, xs, ys) {
  if (x <= xs[0]) return ys[0];
  const i = xs.findIndex((edge) => edge >= x);
  if (i < 0) return ys.at(-1);
  return ys[i - 1] + ((ys[i] - ys[i - 1]) * (x - xs[i - 1])) / (xs[i] - xs[i - 1]);
}

// Notes on speech in which the answers move: persona.audio.quality.unlike.
function unlike({ bandwidth, clipped, snr, lost }, { NARROW, CLIPPED, NOISY, LOST }) {
  const notes = [];
  if (bandwidth < NARROW) notes.push(`no sound above ${Math.trunc(bandwidth)} Hz`);
  if (clipped > CLIPPED) notes.push(`${Math.trunc(100 * clipped)} % clipped`);
  if (snr < NOISY) notes.push(`speech only ${Math.trunc(snr)} dB above the noise`);
  if (lost > LOST) notes.push(`${Math.trunc(100 * lost)} % of the speech is missing`);
  return notes.map((note) => `${note}: a clean recording may be answered otherwise`);
}

const one = /^only channel \d+ was heard$/;

// One recording whose channels are a person each: `Listened.together`. Each of `channels` has
// seconds, segments, quality, notes, envelope and speakers.
export function together(channels) {
  if (channels.length === 1) return channels[0];
  const order = [...channels].sort((a, b) => b.quality.seconds - a.quality.seconds);
  const seconds = order.reduce((sum, { quality }) => sum + quality.seconds, 0);
  const [first, two] = order.map(({ envelope }) => envelope);
  return {
    seconds: order[0].seconds,
    segments: united(order.flatMap(({ segments }) => segments)),
    quality: { ...order[0].quality, seconds },
    notes: [
      ...new Set(channels.flatMap(({ notes }) => notes.filter((note) => !one.test(note)))),
      "each channel is a person",
    ],
    envelope: first.map(([low, high], i) => [Math.min(low, two[i][0]), Math.max(high, two[i][1])]),
    speakers: order.flatMap(({ speakers }) => speakers),
  };
}

// What `Prediction.to_dict` gives of all that was heard. bundle: as of `persona page`.
export function summary(heard, bundle) {
  const { quality, speakers } = heard, { speech, prediction } = bundle.constants;
  const people = answered(speakers, quality.seconds, bundle);
  const [most] = people, { emotion, gender, age, age_low, age_high, trust } = most;
  const several =
    `${people.length} people speak: this is who speaks most, ` +
    `${(100 * most.share).toFixed()}% of it`;
  return {
    schema: prediction.SCHEMA,
    ...{ emotion, gender, age, age_low, age_high },
    seconds: heard.seconds,
    speech_seconds: quality.seconds,
    speech: heard.segments,
    notes: [...heard.notes, ...unlike(quality, speech), ...(people.length > 1 ? [several] : [])],
    timeline: timeline(speakers, bundle),
    quality,
    trust,
    people,
  };
}

// What is answered of each of those who speak, in `seconds` of speech.
export function answered(speakers, seconds, bundle) {
  const total = speakers.reduce((sum, { said }) => sum + weighed(said), 0);
  const found = turns(speakers, bundle.constants.summary);
  return speakers.map((speaker) => {
    const own = found.filter(([whose]) => whose === speaker).map(([, said]) => said);
    return person(speaker, own, weighed(speaker.said) / total, seconds, bundle);
  });
}

function timeline(speakers, { emotions, genders }) {
  return speakers
    .flatMap(({ said }, i) => said.map((one) => [one, i + 1]))
    .sort(([a], [b]) => start(a) - start(b))
    .map(([one, number]) => ({
      start: start(one),
      end: end(one),
      speech_seconds: one.weight,
      emotion: named(emotions, one.answers.emotion),
      gender: named(genders, one.answers.gender),
      age: one.answers.age[0],
      person: number,
    }));
}

function person({ said, different }, own, share, speech, bundle) {
  const { card, genders, constants } = bundle;
  const seconds = share * speech, scale = seconds / weighed(said);
  const age = mean(said, "age")[0];
  const [low, high] = ageLimits(card.age_interval, age, seconds, constants.speech.LITTLE);
  const turn = (one) => {
    const windows = new Set(one.map(({ answers }) => answers)).size;
    return {
      start: start(one[0]),
      end: end(one.at(-1)),
      seconds: scale * weighed(one),
      speech: one.flatMap(({ pieces }) => pieces),
      ...feels(one, Math.min(different.count, windows), bundle),
    };
  };
  const { emotion, trust } = feels(said, different.count, bundle);
  return {
    emotion,
    gender: named(genders, pooled("gender", said, different.count, card)),
    age,
    age_low: low,
    age_high: high,
    trust,
    seconds,
    share,
    turns: own.map(turn),
  };
}

function feels(said, different, { emotions, card }) {
  const found = pooled("emotion", said, different, card);
  return { emotion: named(emotions, found), trust: Math.max(...found) };
}

// What each speaker says until another speaks or nobody does: windows, or parts of them.
function turns(speakers, { PAUSE }) {
  const said = speakers
    .flatMap((speaker) => speaker.said.flatMap(({ pieces, answers }) =>
      pieces.map((piece) =>
        [speaker, { pieces: [piece], weight: piece[1] - piece[0], answers }])))
    .sort(([, a], [, b]) => start(a) - start(b));
  const found = [];
  for (const [speaker, one] of said) {
    const [before, last] = found.at(-1) ?? [];
    if (speaker === before && start(one) - end(last.at(-1)) < PAUSE) last.push(one);
    else found.push([speaker, [one]]);
  }
  return found;
}

// Whether a woman and a man surely speak in these windows.
export function ofBothSexes(said, { HEARD, SHARE, SURELY }) {
  const least = Math.max(HEARD, SHARE * weighed(said));
  return [0, 1].every(
    (sex) => weighed(said.filter(({ answers }) => answers.gender[sex] >= SURELY)) >= least,
  );
}

// Segments, of which those that meet are one.
function united(segments) {
  const found = [];
  for (const [first, last] of segments.sort(([a], [b]) => a - b)) {
    if (found.length && first <= found.at(-1)[1])
      found.at(-1)[1] = Math.max(found.at(-1)[1], last);
    else found.push([first, last]);
  }
  return found;
}

// Mean of an answer over windows, by their seconds.
function mean(said, task, of = (x) => x) {
  const total = weighed(said);
  return said[0].answers[task].map((_, i) =>
    said.reduce((sum, { weight, answers }) => sum + weight * of(answers[task][i]), 0) / total);
}

// `calibration.pooled`, the surer the more windows were `different`.
function pooled(task, said, different, card) {
  const sharper = different ** (card.calibration[task]?.sharpness ?? 0);
  const logs = mean(said, task, (p) => Math.log(Math.max(p, 1e-7))), most = Math.max(...logs);
  const powers = logs.map((x) => Math.exp(sharper * (x - most)));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((x) => x / sum);
}

function ageLimits(interval, age, seconds, little) {
  const wider = Math.sqrt(Math.max(1, little / seconds));
  const [below, above] = ["below", "above"].map((side) =>
    interpolate(age, interval.ages, interval[side]));
  return [Math.max(0, age - wider * below), age + wider * above];
}
