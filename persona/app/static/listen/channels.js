// Which channels of a recording to hear: persona/people/channels.py. C are the constants of
// "channels".

// Whether the levels of two channels, as decoded, go their own ways.
export function apart(channels, rate, C) {
  if (channels.length !== 2) return false;
  const size = Math.round(rate / 10);
  const count = Math.floor(Math.min(channels[0].length, C.LISTENED * rate) / size);
  if (count < 10) return false;
  const power = channels.map((samples) =>
    Array.from({ length: count }, (_, i) => variance(samples.subarray(i * size, (i + 1) * size))));
  const most = Math.max(...power.flat());
  if (!(most > 0)) return false;
  const [one, two] = power.map((line) => line.map((x) => 10 * Math.log10(x + 1e-7 * most)));
  const louder = one.map((x, i) => Math.max(x, two[i])), loudest = Math.max(...louder);
  const difference = one.map((x, i) => two[i] - x).filter((_, i) => louder[i] > loudest - C.LOUD);
  return Math.sqrt(variance(difference)) > C.SWING;
}

// Numbers of the channels that hold a person each, or of the one that holds all speech; none for
// the average. `segments` are those of speech in each of two channels, in seconds.
export function heard(segments, seconds, C) {
  const lines = segments.map((found) => line(found, seconds));
  const [one, two] = lines.map((on) => on.filter(Boolean).length);
  const lesser = Math.min(one, two);
  if (lesser <= C.LITTLE * Math.max(one, two)) return one + two ? [Number(two > one)] : [];
  const together = lines[0].filter((on, i) => on && lines[1][i]).length;
  return together < C.TOGETHER * lesser ? [0, 1] : [];
}

function variance(numbers) {
  const mean = numbers.reduce((a, b) => a + b, 0) / numbers.length;
  return numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length;
}

// Whether somebody speaks in each tenth of a second.
function line(segments, seconds) {
  const found = new Array(Math.trunc(10 * seconds) + 1).fill(false);
  for (const [start, end] of segments)
    found.fill(true, Math.trunc(10 * start), Math.trunc(10 * end) + 1);
  return found;
}
