// Samples in, emotion, gender and age out: persona/model/predictor.py over the same graphs.

import { AudioError } from "./audio.js";
import { listen, noSpeech } from "./speech.js";

const named = (names, values) => Object.fromEntries(names.map((name, i) => [name, values[i]]));

// np.interp: straight lines through (xs, ys), level beyond the ends.
function interpolate(x, xs, ys) {
  if (x <= xs[0]) return ys[0];
  const i = xs.findIndex((edge) => edge >= x);
  if (i < 0) return ys.at(-1);
  return ys[i - 1] + ((ys[i] - ys[i - 1]) * (x - xs[i - 1])) / (xs[i] - xs[i - 1]);
}

// Notes on speech in which the answers move: persona.audio.quality.unlike.
function unlike({ bandwidth, clipped }, { NARROW, CLIPPED }) {
  const notes = [];
  if (bandwidth < NARROW) notes.push(`no sound above ${Math.trunc(bandwidth)} Hz`);
  if (clipped > CLIPPED) notes.push(`${Math.trunc(100 * clipped)} % clipped`);
  return notes.map((note) => `${note}: a clean recording may be answered otherwise`);
}

export class Predictor {
  // bundle: what `persona page` exported; ort: onnxruntime-web; graphs: bytes of each by its name.
  static async load(bundle, ort, graphs) {
    const made = new Predictor();
    Object.assign(made, { bundle, ort, sessions: {} });
    for (const [name, graph] of Object.entries(graphs))
      made.sessions[name] = await ort.InferenceSession.create(graph, { logSeverityLevel: 3 });
    return made;
  }

  // audio: {samples, notes, name} of `audio.read`, without its envelope.
  async predict({ samples, notes, name }, progress) {
    const { speech, audio, calibration } = this.bundle.constants;
    const { card, emotions, genders } = this.bundle;
    const seconds = samples.length / audio.RATE;
    const found = await listen(samples, speech, audio.RATE, this.#detect);
    if (!found.windows.length) throw noSpeech(seconds, name);
    const answers = [], different = new Different();
    for (const window of found.windows) {
      const { embedding, ...answer } = await this.#answer(window.samples);
      different.hear(embedding, calibration);
      answers.push(answer);
      progress(window.end / seconds);
    }
    const weights = found.windows.map((w) => w.weight);
    const exponent = (task) => different.count ** (card.calibration[task]?.sharpness ?? 0);
    const whole = pooled(answers, weights, exponent);
    const quality = found.quality;
    const said = [...notes, ...found.notes, ...unlike(quality, speech)];
    const [low, high] = ageLimits(card.age_interval, whole.age[0], quality.seconds, speech.LITTLE);
    return {
      emotion: named(emotions, whole.emotion),
      gender: named(genders, whole.gender),
      age: whole.age[0],
      age_low: low,
      age_high: high,
      seconds,
      speech_seconds: quality.seconds,
      notes: said,
      quality,
      trust: Math.max(...whole.emotion),
      speech: found.segments,
      timeline: found.windows.map((window, i) => ({
        start: window.start,
        end: window.end,
        speech_seconds: window.weight,
        emotion: named(emotions, answers[i].emotion),
        gender: named(genders, answers[i].gender),
        age: answers[i].age[0],
      })),
    };
  }

  #tensor(data, shape) {
    return new this.ort.Tensor("float32", data, shape);
  }

  #detect = async (frames, shape, memory) => {
    const fresh = () => this.#tensor(new Float32Array(128), [1, 1, 128]);
    const { h, c } = memory ?? { h: fresh(), c: fresh() };
    const input = this.#tensor(frames, shape);
    const { speech_probs, hn, cn } = await this.sessions.silero.run({ input, h, c });
    return { probability: speech_probs.data, memory: { h: hn, c: cn } };
  };

  async #answer(samples) {
    const waveform = levelled(samples, this.bundle.constants.campplus.LEVEL);
    const layers = await this.sessions.campplus.run({
      waveform: this.#tensor(waveform, [waveform.length]),
    });
    const vectors = this.bundle.layers.flatMap((layer) => [...layers[layer].data]);
    const embeddings = this.#tensor(Float32Array.from(vectors), [1, vectors.length]);
    const asked = ["emotion", "gender", "age"];
    const answers = await this.sessions.heads.run({ embeddings }, asked);
    const read = asked.map((k) => [k, [...answers[k].data]]);
    if (!read.every(([, values]) => values.every(Number.isFinite)))
      throw new AudioError(
        "The audio lies so far beyond full scale that no answer is a number: scale it to +-1.");
    return { ...Object.fromEntries(read), embedding: vectors };
  }
}

// The waveform at a root mean square of `level`; silence stays silence.
function levelled(samples, level) {
  const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
  const gain = Math.fround(level / Math.sqrt(power));
  return power > 0 ? samples.map((x) => x * gain) : samples;
}

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

// How many windows are unlike all that came before: `calibration.Different`.
class Different {
  #kept = [];

  hear(embedding, { ALIKE, MANY }) {
    const length = Math.max(Math.sqrt(dot(embedding, embedding)), 1e-12);
    const unit = embedding.map((x) => x / length);
    if (this.#kept.length < MANY && this.#kept.every((other) => dot(unit, other) < ALIKE))
      this.#kept.push(unit);
  }

  get count() {
    return this.#kept.length;
  }
}

// One answer to all windows: `calibration.pooled` for emotion and gender, means for the rest.
function pooled(answers, weights, exponent) {
  const total = weights.reduce((a, b) => a + b);
  const mean = (key, of = (x) => x) =>
    answers[0][key].map(
      (_, i) => answers.reduce((sum, a, n) => sum + weights[n] * of(a[key][i]), 0) / total);
  const sharper = (task) => {
    const logs = mean(task, (p) => Math.log(Math.max(p, 1e-7)));
    const powers = logs.map((x) => Math.exp(exponent(task) * (x - Math.max(...logs))));
    return powers.map((x) => x / powers.reduce((a, b) => a + b));
  };
  return {
    emotion: sharper("emotion"),
    gender: sharper("gender"),
    age: mean("age"),
  };
}

function ageLimits(interval, age, seconds, little) {
  const wider = Math.sqrt(Math.max(1, little / seconds));
  const [below, above] = ["below", "above"].map((side) =>
    interpolate(age, interval.ages, interval[side]));
  return [Math.max(0, age - wider * below), age + wider * above];
}
