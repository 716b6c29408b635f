// Samples in, emotion, gender and age out: persona/model/predictor.py over the same graphs.

import { AudioError } from "./audio.js";
import { heard } from "./channels.js";
import { dot } from "./clustering.js";
import { Diarisation, Different, parts } from "./diarisation.js";
import { Live } from "./live.js";
import { Resampler } from "./resampling.js";
import { listen, noSpeech } from "./speech.js";
import { answered, ofBothSexes, summary, together } from "./summary.js";
import { asOffset, asText, offsetOf } from "./voice.js";

const ANSWERS = ["emotion", "gender", "age"];

export class Predictor {
  // bundle: what `persona page` exported; ort: onnxruntime-web; files: bytes of each by its name.
  static async load(bundle, ort, { projection, ...graphs }) {
    const made = new Predictor();
    const voices = new Float32Array(projection.buffer);
    Object.assign(made, { bundle, ort, sessions: {}, projection: voices });
    for (const [name, graph] of Object.entries(graphs))
      made.sessions[name] = await ort.InferenceSession.create(graph, { logSeverityLevel: 3 });
    return made;
  }

  // audio: as of `audio.read`. Gives the `prediction` and the `envelope` of what was heard. voice:
  // as of `learn`, against which emotion is read where one person speaks.
  async predict(audio, progress, voice) {
    const { envelope, ...whole } = await this.#heard(audio, progress);
    if (voice) whole.notes.push(await this.#readAgainst(whole.speakers, asOffset(voice.offset)));
    return { prediction: summary(whole, this.bundle), envelope };
  }

  // Answers while somebody still speaks, at `rate`; `voice` as of `predict`, of the one who speaks.
  live(rate, voice) {
    const { audio, live, summary: C } = this.bundle.constants;
    const offset = voice && asOffset(voice.offset), count = voice ? 1 : null;
    const run = async (window) => {
      const found = await this.#hear(window);
      return offset ? { ...found, answers: await this.#against(found, offset) } : found;
    };
    return new Live({
      resampler: new Resampler(rate, audio),
      windows: async (samples) => (await this.#speech(samples)).windows,
      run,
      toldApart: (part) => this.#diarisation(part, count),
      answered: (speakers, seconds) => answered(speakers, seconds, this.bundle),
      C: { ...live, PAUSE: C.PAUSE },
      rate: audio.RATE,
    });
  }

  // The usual voice of one of those who speak, as text and numbers: persona/model/enrolment.py.
  async learn(audio, person, plain, progress) {
    const { emotions, fingerprint, constants } = this.bundle, { ENOUGH, PLAIN } = constants.enrolment;
    const { speakers } = await this.#heard(audio, progress);
    const different = new Different(constants.different, ENOUGH);
    const phrases = speakers[person].said
      .map(({ embedding }) => embedding)
      .filter((embedding) => different.hear(embedding));
    const mix = (offset) => this.#emotions(phrases, offset);
    const known = plain ? emotions.indexOf(PLAIN) : null;
    const usual = await this.#usual();
    const offset = asText(await offsetOf(phrases, usual, mix, constants.voice, known));
    return { offset, phrases: phrases.length, plain, made_for: fingerprint };
  }

  async #heard({ name, average, channels }, progress) {
    const lines = await this.#chosen(average, channels);
    const found = [];
    for (const [i, line] of lines.entries()) {
      const follow = (share) => progress((i + share) / lines.length);
      const count = lines.length > 1 ? 1 : null; // each channel is a person
      found.push(await this.#listen(line, name, count, follow));
    }
    return together(found);
  }

  // Gives the note on it.
  async #readAgainst(speakers, offset) {
    if (speakers.length > 1) return "several people speak: the voice that was learnt is not used";
    for (const said of speakers[0].said) said.answers = await this.#against(said, offset);
    return "emotion is read against the voice that was learnt";
  }

  async #against({ embedding, answers }, offset) {
    const { emotion } = await this.#answers(embedding.map((x, i) => x - offset[i]));
    return { ...answers, emotion };
  }

  // The lines to hear: the average, one channel, or two that are a person each.
  async #chosen(average, channels) {
    if (!channels.length) return [average];
    const { audio, channels: C } = this.bundle.constants;
    const most = C.LISTENED * audio.RATE, found = [];
    for (const { samples } of channels)
      found.push((await this.#speech(samples.subarray(0, most))).segments);
    const seconds = Math.min(most, channels[0].samples.length) / audio.RATE;
    const chosen = heard(found, seconds, C);
    return chosen.length ? chosen.map((number) => channels[number]) : [average];
  }

  async #listen({ samples, notes, envelope }, name, count, progress) {
    const { audio } = this.bundle.constants;
    const seconds = samples.length / audio.RATE;
    const found = await this.#speech(samples);
    if (!found.windows.length) throw noSpeech(seconds, name);
    const run = (window) => this.#hear(window);
    const toldApart = this.#diarisation(run, count);
    for (const window of found.windows) {
      await toldApart.hear(await run(window));
      progress(window.end / seconds);
    }
    return {
      seconds,
      segments: found.segments,
      quality: found.quality,
      notes: [...notes, ...found.notes],
      envelope,
      speakers: await toldApart.speakers(),
    };
  }

  #diarisation(run, count) {
    const { diarisation, different, summary: C } = this.bundle.constants;
    return new Diarisation(run, diarisation, different, count, (said) => ofBothSexes(said, C));
  }

  #speech(samples) {
    const { speech, audio } = this.bundle.constants;
    return listen(samples, speech, audio.RATE, this.#detect);
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

  // Answers to a window, its embedding, and the voices of its parts.
  async #hear(window) {
    const { campplus, diarisation } = this.bundle.constants;
    const waveform = levelled(window.samples, campplus.LEVEL);
    const { frames, ...layers } = await this.sessions.campplus.run({
      waveform: this.#tensor(waveform, [waveform.length]),
    });
    const embedding = Float32Array.from(this.bundle.layers.flatMap((k) => [...layers[k].data]));
    const seconds = parts(window, diarisation).map((edges) => edges.map((x) => x / window.rate));
    const voices = seconds.map((edges) => this.#voice(frames, edges));
    return { window, embedding, answers: await this.#answers(embedding), voices };
  }

  async #answers(embedding) {
    const embeddings = this.#tensor(embedding, [1, embedding.length]);
    const found = await this.sessions.heads.run({ embeddings }, ANSWERS);
    const read = ANSWERS.map((task) => [task, [...found[task].data]]);
    if (!read.every(([, values]) => values.every(Number.isFinite)))
      throw new AudioError(
        "The audio lies so far beyond full scale that no answer is a number: scale it to +-1.");
    return Object.fromEntries(read);
  }

  // Mean probabilities of emotions of embeddings less an offset.
  async #emotions(embeddings, offset) {
    const size = offset.length, count = embeddings.length;
    const batch = Float32Array.from({ length: count * size }, (_, i) =>
      embeddings[Math.floor(i / size)][i % size] - offset[i % size]);
    const inputs = { embeddings: this.#tensor(batch, [count, size]) };
    const { emotion } = await this.sessions.heads.run(inputs, ["emotion"]);
    return this.bundle.emotions.map((_, k, { length }) =>
      embeddings.reduce((sum, _, n) => sum + emotion.data[n * length + k], 0) / count);
  }

  // Rows of `voices.usual`, for which no embedding is needed.
  async #usual() {
    const size = this.bundle.card.network.dimension;
    const embeddings = this.#tensor(new Float32Array(size), [1, size]);
    const { usual } = await this.sessions.heads.run({ embeddings }, ["usual"]);
    return Array.from({ length: usual.dims[0] }, (_, i) =>
      usual.data.slice(i * size, (i + 1) * size));
  }

  // The embedding, of length 1, of a part between two seconds: `CAMPPlus.voices`.
  #voice({ data, dims: [, height, count] }, edges) {
    const at = edges.map((x) => toEven(x * this.bundle.constants.campplus.FRAMES));
    const last = Math.min(Math.max(at[1], Math.min(2, count)), count);
    const first = Math.min(Math.max(at[0], 0), Math.max(last - 2, 0)), n = last - first;
    const statistics = new Float64Array(2 * height + 1).fill(1);
    for (let row = 0; row < height; row++) {
      const values = data.subarray(row * count + first, row * count + last);
      const mean = values.reduce((a, b) => a + b, 0) / n;
      const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
      statistics[row] = mean;
      statistics[height + row] = Math.sqrt(squares / Math.max(1, n - 1));
    }
    const width = statistics.length, size = this.projection.length / width;
    const found = Array.from({ length: size }, (_, i) =>
      dot(statistics, this.projection.subarray(i * width, (i + 1) * width)));
    const length = Math.max(Math.sqrt(dot(found, found)), 1e-12);
    return found.map((x) => x / length);
  }
}

// np.round of what is not negative: a half goes to the even number.
function toEven(x) {
  const near = Math.round(x);
  return near - x === 0.5 && near % 2 ? near - 1 : near;
}

// The waveform at a root mean square of `level`; silence stays silence.
function levelled(samples, level) {
  const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
  const gain = Math.fround(level / Math.sqrt(power));
  return power > 0 ? samples.map((x) => x * gain) : samples;
}
