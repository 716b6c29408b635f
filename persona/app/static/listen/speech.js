// Where in a recording somebody speaks, and the windows of speech that the network hears: speech.py
// and windows.py of persona/audio, function for function. Constants come as `C`, the network as
// `detect`.

import { AudioError } from "./audio.js";

const maximum = (numbers) => numbers.reduce((a, b) => Math.max(a, b), -Infinity);
const mean = (numbers) => numbers.reduce((a, b) => a + b, 0) / numbers.length;

export function percentile(numbers, share) {
  const sorted = Float64Array.from(numbers).sort();
  const at = (share / 100) * (sorted.length - 1);
  const low = Math.floor(at), high = Math.ceil(at);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

const sliding = (numbers, width, of) =>
  Array.from({ length: numbers.length - width + 1 }, (_, i) => of(numbers.slice(i, i + width)));
const median = (numbers) => percentile(numbers, 50);

function variance(samples) {
  const centre = mean(samples);
  return samples.reduce((sum, x) => sum + (x - centre) ** 2, 0) / samples.length;
}

export function noSpeech(seconds, name) {
  return new AudioError(
    `${name}: no speech was found in ${seconds.toFixed(1)} s: give a recording in which somebody ` +
      "speaks, close to the microphone and louder than what surrounds them.");
}

// All that is spoken in `samples` (16 kHz): segments, windows, quality and notes.
export async function listen(samples, C, rate, detect) {
  const measures = new Measures(C, rate);
  const segments = [], pieces = [];
  let offset = 0;
  for (const stretch of stretches(samples, C, rate)) {
    const [first, last] = betweenSilence(stretch, C);
    const sound = stretch.slice(first, last), origin = offset + first;
    const clean = withoutRumble(sound, C);
    const level = levels(clean, C);
    const found = await findSegments(clean, level, C, detect);
    measures.add(sound, level, found);
    for (const [start, end] of found) {
      const piece = sound.slice(start, end), centre = mean(piece);
      pieces.push([origin + start, piece.map((x) => x - centre)]);
      segments.push([(origin + start) / rate, (origin + end) / rate]);
    }
    offset += stretch.length;
  }
  const seconds = measures.count / rate;
  const little = seconds > 0 && seconds < C.LITTLE;
  return {
    segments,
    windows: windows(pieces, C, rate),
    quality: segments.length ? measures.quality() : null,
    notes: little ? [`only ${seconds.toFixed(1)} s of speech: expect little`] : [],
  };
}

function betweenSilence(samples, C) {
  const size = samples.length;
  let first = 1, last = size - 1;
  while (first < size && samples[first] === samples[0]) first++;
  if (first >= size) return [0, size];
  while (samples[last - 1] === samples[size - 1]) last--;
  return [Math.max(0, first - C.QUIET), Math.min(size, last + C.QUIET)];
}

function windows(pieces, C, rate) {
  const length = (some) => some.reduce((sum, [, samples]) => sum + samples.length, 0);
  const phrases = [];
  let held = [];
  for (const piece of withoutRoom(pieces.flatMap((piece) => [...atLulls(piece, C)]), C)) {
    held.push(piece);
    if (length(held) >= C.PHRASE * rate) {
      phrases.push(held);
      held = [];
    }
  }
  if (phrases.length) phrases.at(-1).push(...held);
  else if (held.length) phrases.push(held);
  return phrases.flatMap((phrase) => parts(phrase, length(phrase), C, rate));
}

function* atLulls([start, samples], C) {
  const frames = heard(samples, C);
  let first = 0;
  for (const [begin, end] of runs(frames.map((loud) => !loud))) {
    if (begin === 0 || end === frames.length || end - begin < C.GAP) continue;
    yield [start + first, samples.subarray(first, (begin + C.PAD) * C.FRAME)];
    first = (end - C.PAD) * C.FRAME;
  }
  yield [start + first, samples.subarray(first)];
}

function withoutRoom(pieces, C) {
  return pieces.map(([start, samples], i) => {
    const begin = i > 0 ? faint(samples, C) : 0, rest = samples.subarray(begin);
    const end = i < pieces.length - 1 ? faint(rest.slice().reverse(), C) : 0;
    return [start + begin, rest.subarray(0, rest.length - end)];
  });
}

function faint(samples, C) {
  const frames = heard(samples, C), first = Math.max(0, frames.indexOf(true));
  return C.FRAME * Math.min(C.EDGE, Math.floor(frames.length / 2), first);
}

function heard(samples, C) {
  const level = levels(samples, C);
  const low = percentile(level, 10), high = percentile(level, 95);
  return level.map((x) => x >= Math.max(high - C.RANGE, (low + high) / 2));
}

// A phrase: speech between pauses, or a part of it. `pieces` are first sample and end of each piece
// of speech in it, of the recording.
export class Window {
  constructor(samples, pieces, rate) {
    Object.assign(this, { samples, pieces, rate });
  }

  // The same in seconds.
  get spans() {
    return this.pieces.map((piece) => piece.map((edge) => edge / this.rate));
  }

  get end() {
    return this.pieces.at(-1)[1] / this.rate;
  }

  // Seconds of speech in it.
  get weight() {
    return this.samples.length / this.rate;
  }

  // Where in `samples` the pieces begin, and their end.
  get edges() {
    const found = [0];
    for (const [first, last] of this.pieces) found.push(found.at(-1) + last - first);
    return found;
  }

  // Its samples from `first` to before `last`.
  part(first, last) {
    const { edges } = this;
    const inside = this.pieces.map(([origin], i) =>
      [first, last].map((at) =>
        Math.max(edges[i], Math.min(edges[i + 1], at)) - edges[i] + origin));
    const samples = this.samples.slice(first, last);
    return new Window(samples, inside.filter(([begin, end]) => end > begin), this.rate);
  }
}

function parts(phrase, total, C, rate) {
  const samples = new Float32Array(total);
  let filled = 0;
  for (const [, piece] of phrase) {
    samples.set(piece, filled);
    filled += piece.length;
  }
  const pieces = phrase.map(([start, piece]) => [start, start + piece.length]);
  const whole = new Window(samples, pieces, rate), edges = [0, ...cuts(samples, C, rate), total];
  return edges.slice(1).map((to, i) => whole.part(edges[i], to));
}

function cuts(samples, C, rate) {
  const count = Math.ceil(samples.length / (C.LONGEST * rate));
  const step = samples.length / count, reach = Math.floor(C.NEAR * step);
  return Array.from({ length: count - 1 }, (_, i) => {
    const first = Math.floor((i + 1) * step) - reach;
    const around = sliding(levels(samples.subarray(first, first + 2 * reach), C), C.CALM, mean);
    const quietest = around.reduce((best, x, n) => (x < around[best] ? n : best), 0);
    return first + (quietest + Math.floor(C.CALM / 2)) * C.FRAME;
  });
}

function* stretches(samples, C, rate) {
  const longest = C.STRETCH * rate, first = longest - Math.floor(longest / 10);
  while (samples.length > longest) {
    const around = sliding(levels(samples.subarray(first, longest), C), 31, mean);
    const quietest = around.reduce((best, x, i) => (x < around[best] ? i : best), 0);
    const cut = first + (quietest + 15) * C.FRAME;
    yield samples.subarray(0, cut);
    samples = samples.subarray(cut);
  }
  if (samples.length) yield samples;
}

async function findSegments(clean, level, C, detect) {
  if (level.length < C.SHORTEST) return [];
  const loudest = maximum(sliding(level, Math.min(25, level.length), median));
  if (loudest < C.SILENT) return [];
  const gain = 10 ** ((C.LOUD - loudest) / 20);
  const probability = await probabilities(clean.map((x) => x * gain), C, detect);
  let found = [];
  for (const sure of C.SURE) if (!found.length) found = spoken(probability, ...sure, C);
  const clip = (frame) => Math.max(0, Math.min(level.length, Math.round(frame)));
  found = found.map(([start, end]) =>
    [start, end].map((edge, i) => clip((edge * C.STEP) / C.FRAME + [-C.REACH, C.REACH][i])));
  const edges = [level[0], level[0], ...level, level.at(-1), level.at(-1)];
  const steady = sliding(edges, 5, median);
  const active = new Array(level.length).fill(false);
  for (const [start, end] of joined(found, 1)) {
    const part = steady.slice(start, end);
    const quiet = percentile(part, 5), loud = percentile(part, 95);
    for (let i = start; i < end; i++)
      active[i] = steady[i] > loud - C.RANGE && loud - quiet > C.STEADY;
  }
  const sample = (frame) =>
    frame >= level.length ? clean.length : Math.max(0, frame * C.FRAME);
  return joined(runs(active), C.GAP)
    .filter(([start, end]) => end - start >= C.SHORTEST)
    .map(([start, end]) => [sample(start - C.PAD), sample(end + C.PAD)]);
}

function withoutRumble(samples, C) {
  const half = Math.floor(C.RUMBLE / 2), last = samples.length - 1;
  const at = (i) => samples[Math.max(0, Math.min(last, i))];
  let total = 0;
  for (let i = -half - 1; i < half; i++) total += at(i);
  return samples.map((x, i) => {
    total += at(i + half) - at(i - half - 1);
    return x - total / C.RUMBLE;
  });
}

function spoken(probability, on, sure, C) {
  const above = ([start, end]) => {
    let sum = 0;
    for (let i = start; i < end; i++) sum += Math.max(probability[i] - on, 0);
    return sum;
  };
  return runs(probability.map((p) => p > C.OFF)).filter((run) => above(run) >= sure);
}

async function probabilities(samples, C, detect) {
  const count = Math.ceil(samples.length / C.STEP) + C.LEAD, width = C.CONTEXT + C.STEP;
  const padded = new Float32Array(C.CONTEXT + count * C.STEP);
  padded.set(samples, C.CONTEXT + C.LEAD * C.STEP);
  const found = [];
  let memory;
  for (let start = 0; start < count; start += C.CALL) {
    const here = Math.min(C.CALL, count - start);
    const frames = new Float32Array(here * width);
    for (let i = 0; i < here; i++) {
      const from = (start + i) * C.STEP;
      frames.set(padded.subarray(from, from + width), i * width);
    }
    const answer = await detect(frames, [here, width], memory);
    memory = answer.memory;
    found.push(...answer.probability);
  }
  return found.slice(C.LEAD);
}

function levels(samples, C) {
  const count = Math.floor(samples.length / C.FRAME);
  return Array.from({ length: count }, (_, i) =>
    10 * Math.log10(variance(samples.subarray(i * C.FRAME, (i + 1) * C.FRAME)) + 1e-12));
}

function runs(mask) {
  const found = [];
  mask.forEach((on, i) => {
    if (on && !mask[i - 1]) found.push([i, i + 1]);
    else if (on) found.at(-1)[1] = i + 1;
  });
  return found;
}

function joined(found, gap) {
  const kept = [];
  for (const [start, end] of found) {
    if (kept.length && start - kept.at(-1)[1] < gap) kept.at(-1)[1] = end;
    else kept.push([start, end]);
  }
  return kept;
}

class Measures {
  constructor(C, rate) {
    Object.assign(this, { C, rate, count: 0, clipped: 0, power: 0 });
    Object.assign(this, { inside: [], outside: [], frames: [] });
    this.spectrum = new Float64Array(C.STEP / 2 + 1);
    this.taper = Float64Array.from({ length: C.STEP }, (_, i) =>
      0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (C.STEP - 1)));
  }

  add(samples, level, segments) {
    const { C } = this;
    const inside = new Array(level.length).fill(false);
    for (const [start, end] of segments) {
      inside.fill(true, Math.floor(start / C.FRAME), Math.floor(end / C.FRAME));
      const piece = samples.subarray(start, end), centre = mean(piece);
      const full = (x) => Math.abs(x) >= 0.999;
      piece.forEach((x, i) => (this.clipped += i > 0 && full(x) && full(piece[i - 1]) ? 1 : 0));
      this.count += piece.length;
      this.frames.push(...levels(piece, C));
      this.power += variance(piece) * piece.length;
      for (let at = 0; at + C.STEP <= piece.length; at += C.STEP)
        powers(this.taper.map((w, i) => w * (piece[at + i] - centre)))
          .forEach((p, i) => (this.spectrum[i] += p));
    }
    level.forEach((x, i) => {
      if (inside[i]) this.inside.push(x);
      else if (x > C.SILENT) this.outside.push(x);
    });
  }

  quality() {
    const { count, rate, spectrum, inside, outside } = this;
    const noise = outside.length >= 50 ? median(outside) : percentile(inside, 10);
    const level = 10 * Math.log10(this.power / count + 1e-12);
    const step = rate / 2 / (spectrum.length - 1);
    let sum = 0;
    const energy = spectrum.map((power, i) => {
      const turn = (2 * Math.PI * i * step) / rate;
      return (sum += power * (1 + 0.97 ** 2 - 2 * 0.97 * Math.cos(turn)));
    });
    return {
      seconds: count / rate,
      level: Math.round(10 * level) / 10,
      clipped: this.clipped / count,
      snr: Math.round(10 * (level - noise)) / 10,
      bandwidth: step * energy.findIndex((e) => e >= 0.99 * sum),
      lost: this.#lost(level),
    };
  }

  // Share of frames of speech that hold nothing, between loud ones.
  #lost(level) {
    const { C, frames } = this;
    const loud = (x) => x > level - C.ABRUPT;
    const broken = runs(frames.map((x) => x <= C.SILENT))
      .filter(([start, end]) => loud(frames[start - 1]) && loud(frames[end]));
    return broken.reduce((sum, [start, end]) => sum + end - start, 0) / Math.max(frames.length, 1);
  }
}

// Power of each frequency from 0 to half the rate, by a Fourier transform of a power of two.
function powers(frame) {
  const n = frame.length, real = new Float64Array(n), imaginary = new Float64Array(n);
  const bits = Math.log2(n);
  for (let i = 0; i < n; i++) {
    let mirrored = 0;
    for (let b = 0; b < bits; b++) mirrored |= ((i >> b) & 1) << (bits - 1 - b);
    real[mirrored] = frame[i];
  }
  for (let size = 2; size <= n; size *= 2)
    for (let i = 0; i < n; i += size)
      for (let k = i; k < i + size / 2; k++) {
        const turn = (-2 * Math.PI * (k - i)) / size, other = k + size / 2;
        const c = Math.cos(turn), s = Math.sin(turn);
        const re = real[other] * c - imaginary[other] * s;
        const im = real[other] * s + imaginary[other] * c;
        real[other] = real[k] - re;
        imaginary[other] = imaginary[k] - im;
        real[k] += re;
        imaginary[k] += im;
      }
  return real.subarray(0, n / 2 + 1).map((re, i) => re ** 2 + imaginary[i] ** 2);
}
