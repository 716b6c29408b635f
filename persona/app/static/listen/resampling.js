// Any sampling rate -> 16 kHz: the sums of FFmpeg's resampler, set as in
// persona/audio/resampling.py.

const TURN = 1 << 19; // samples between which the page comes to its turn

// samples: at `rate` Hz, a whole number; C: constants of "audio". Float32Array at 16 kHz.
export async function resampled(samples, rate, C) {
  if (rate === C.RATE) return samples;
  const filter = new Filter(rate, C);
  const padded = mirrored(samples, filter.before, filter.taps);
  const found = new Float32Array(Math.floor((samples.length * C.RATE) / rate));
  for (let i = 0; i < found.length; i++) {
    if (i % TURN === TURN - 1) await new Promise((done) => setTimeout(done));
    found[i] = filter.sum(i, padded, 0);
  }
  return found;
}

// The same while it is recorded: `chunk` gives what the samples until then complete.
export class Resampler {
  #held = null;
  #first = 0; // number of the first of those that are held
  #given = 0;

  constructor(rate, C) {
    Object.assign(this, { rate, to: C.RATE, filter: new Filter(rate, C) });
  }

  chunk(samples) {
    const { rate, to, filter } = this;
    if (rate === to) return samples;
    const held = this.#held ? joined(this.#held, samples) : mirrored(samples, filter.before, 0);
    const whole = this.#first + held.length - filter.taps + 1; // places that the filter reaches
    const given = Math.max(this.#given, Math.ceil((whole * to) / rate));
    const found = Float32Array.from({ length: given - this.#given }, (_, n) =>
      filter.sum(this.#given + n, held, this.#first));
    const done = Math.floor((given * rate) / to) - this.#first;
    this.#held = held.slice(done);
    this.#first += done;
    this.#given = given;
    return found;
  }
}

export function joined(one, other) {
  const both = new Float32Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

function mirrored(samples, before, after) {
  const { length } = samples;
  const padded = new Float32Array(before + length + after);
  padded.set(samples, before);
  for (let k = 1; k <= before; k++) padded[before - k] = samples[k];
  for (let k = 0; k < after; k++) padded[before + length + k] = samples[length - 1 - k];
  return padded;
}

// Weights of the samples around a place, for each of the parts of a sample that occur.
class Filter {
  phases = new Map();

  constructor(rate, C) {
    const [span, beta] = rate > C.RATE ? C.FROM_ABOVE : C.FROM_BELOW;
    const scale = Math.min(1, C.RATE / rate);
    const taps = Math.ceil(span / scale), before = Math.floor((taps - 1) / 2);
    Object.assign(this, { rate, scale, beta, parts: C.RATE, taps, before });
  }

  // Sample `i` at 16 kHz, of samples of which the first has the number `first`.
  sum(i, samples, first) {
    const phase = (i * this.rate) % this.parts, at = (i * this.rate - phase) / this.parts - first;
    const weights = this.#at(phase);
    let sum = 0;
    for (let k = 0; k < weights.length; k++) sum += weights[k] * samples[at + k];
    return sum;
  }

  #at(phase) {
    let weights = this.phases.get(phase);
    if (!weights) this.phases.set(phase, (weights = this.#made(phase / this.parts)));
    return weights;
  }

  #made(part) {
    const { scale, beta, taps } = this, middle = this.before + part;
    const weights = Float64Array.from({ length: taps }, (_, i) => {
      const x = Math.PI * scale * (i - middle), reach = (2 * (i - middle)) / taps;
      const sinc = x === 0 ? 1 : Math.sin(x) / x;
      return sinc * bessel(beta * Math.sqrt(Math.max(0, 1 - reach ** 2)));
    });
    const sum = weights.reduce((a, b) => a + b);
    return weights.map((w) => w / sum);
  }
}

// The modified Bessel function of order 0, by its series.
function bessel(x) {
  let sum = 1, term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) sum += term *= (x / (2 * k)) ** 2;
  return sum;
}
