// Any audio that the browser decodes -> mono at 16 kHz: persona/audio without its own decoder.

import { apart } from "./channels.js";
import { statedRate, statedSeconds } from "./rates.js";
import { resampled } from "./resampling.js";

export class AudioError extends Error {} // one sentence, meant for a person

const USUAL = 48000; // Hz
const printable = (name) => name.replace(/[\p{C}]/gu, "?");

// Gives {name, average, channels}: `average` of the channels, and, of two that may be a person each,
// these, each {samples, notes, envelope}. `file` is a File; C are the constants of
// persona/app/page.py.
export async function read(file, { audio: C, channels: apartness }) {
  const name = `"${printable(file.name)}"`;
  const fail = (problem) => new AudioError(`${name} ${problem}.`);
  const buffer = await file.arrayBuffer();
  const stated = statedRate(buffer), length = statedSeconds(buffer); // decoding takes the bytes
  let decoded;
  try {
    decoded = await contextAt(stated).decodeAudioData(buffer);
  } catch {
    throw fail("cannot be decoded by this browser: give a WAV, FLAC, MP3 or M4A file with sound");
  }
  const count = decoded.numberOfChannels, rate = decoded.sampleRate;
  const recorded = Array.from({ length: count }, (_, i) => decoded.getChannelData(i));
  const resampling = stated && stated !== C.RATE ? [`resampled from ${stated} Hz`] : [];
  const prepared = async ({ samples, notes }) => {
    const found = samples.length / rate;
    const said = [...notes, ...resampling, ...early(found, length), ...unusual(samples, rate, C)];
    const heard = await resampled(samples, rate, C);
    return { samples: heard, notes: said, envelope: envelope(heard, C.POINTS) };
  };
  const mixed = downmixed(recorded);
  const problem = unusable(mixed.samples, rate, C);
  if (problem) throw fail(problem);
  const average = await prepared(mixed), channels = [];
  if (apart(recorded, rate, apartness))
    for (const [i, samples] of recorded.entries())
      channels.push(await prepared({ samples, notes: [`only channel ${i + 1} was heard`] }));
  return { name, average, channels };
}

const lowest = (samples) => samples.reduce((a, b) => Math.min(a, b), Infinity);
const highest = (samples) => samples.reduce((a, b) => Math.max(a, b), -Infinity);

// Why these samples cannot be answered, if so.
function unusable(samples, rate, C) {
  const seconds = samples.length / rate, low = lowest(samples), high = highest(samples);
  if (!Number.isFinite(low + high))
    return "holds NaN or infinite samples: record or export it again";
  if (seconds < C.SHORTEST)
    return `is only ${(1000 * seconds).toFixed()} ms long: give ${C.SHORTEST} s or more, better 1 s`;
  if ((high - low) / 2 < C.SILENCE)
    return "is silent (nothing above -80 dB of full scale): record it again";
}

// A header that states a hundredfold of what there is was never filled in.
const early = (found, stated) =>
  stated - found >= 0.1 && stated < 100 * found
    ? [`ends early: ${found.toFixed(1)} s of ${stated.toFixed(1)} s`]
    : [];

function unusual(samples, rate, C) {
  const seconds = samples.length / rate, peak = Math.max(-lowest(samples), highest(samples));
  const notes = [];
  if (seconds < C.SHORT) notes.push(`only ${seconds.toFixed(1)} s long: expect little`);
  if (peak > C.LOUDEST) notes.push(`peaks at ${Number(peak.toPrecision(3))} times full scale`);
  return notes;
}

// A context decodes to its own rate, which is that of the file where a browser bears it. Of other
// rates 48 kHz keeps what is heard.
function contextAt(stated) {
  try {
    return new OfflineAudioContext(1, 1, stated ?? USUAL);
  } catch {
    return new OfflineAudioContext(1, 1, USUAL);
  }
}

// The average of the channels, or the strongest where they cancel each other. Python looks at
// frequencies and over time besides; here the power of the whole recording decides.
function downmixed(channels) {
  const count = channels.length;
  if (count === 1) return { samples: channels[0], notes: [] };
  const power = (samples) => samples.reduce((sum, x) => sum + x * x, 0);
  const samples = channels[0].map((_, i) => channels.reduce((sum, c) => sum + c[i], 0) / count);
  const each = channels.map(power);
  const apart = each.reduce((a, b) => a + b) / count;
  if (power(samples) >= apart / (2 * count))
    return { samples, notes: [`averaged ${count} channels`] };
  const best = each.indexOf(Math.max(...each));
  return {
    samples: channels[best],
    notes: [`channels cancel each other: channel ${best + 1} was used`],
  };
}

// Lowest and highest of each of so many parts at the most.
function envelope(samples, most) {
  const size = Math.ceil(samples.length / most);
  return Array.from({ length: Math.ceil(samples.length / size) }, (_, i) => {
    const part = samples.subarray(i * size, (i + 1) * size);
    return [Math.min, Math.max].map((of) => part.reduce((a, b) => of(a, b)));
  });
}
