// Average linkage: voices that are alike become one person's. persona/people/clustering.py.

export const dot = (a, b) => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};

// How voices become one cluster, the most alike first: {cosine, one, two, lesser} of each merge.
export function merges(voices, seconds) {
  const weights = [...seconds], there = weights.map((_, i) => i), found = [];
  const cosine = voices.map((a, i) =>
    Float64Array.from(voices, (b, k) => (k === i ? -Infinity : dot(a, b))));
  while (there.length > 1) {
    let one = there[0], two = there[1];
    for (const i of there)
      for (const k of there) if (i < k && cosine[i][k] > cosine[one][two]) [one, two] = [i, k];
    const [w, v] = [weights[one], weights[two]];
    found.push({ cosine: cosine[one][two], one, two, lesser: Math.min(w, v) });
    there.splice(there.indexOf(two), 1);
    for (const i of there)
      if (i !== one)
        cosine[one][i] = cosine[i][one] = (w * cosine[one][i] + v * cosine[two][i]) / (w + v);
    weights[one] += v;
  }
  return found;
}

// Number of the cluster of each of `count` voices after these merges, from 0.
export function joined(done, count) {
  let label = Array.from({ length: count }, (_, i) => i);
  for (const { one, two } of done) label = label.map((x) => (x === two ? one : x));
  return numbered(label);
}

// Labels as numbers from 0, in their order.
export function numbered(labels) {
  const order = [...new Set(labels)].sort((a, b) => a - b);
  return labels.map((x) => order.indexOf(x));
}

// Mean cosine of the two groups, of `fewest` seconds or more each, that are least alike; 1 for none.
export function unlike(found, fewest) {
  return Math.min(1, ...found.filter(({ lesser }) => lesser >= fewest).map(({ cosine }) => cosine));
}

// The middle of the widest gap between `low` and `high` in which no two people would become one.
export function gap(found, low, high, fewest) {
  const between = found
    .filter(({ lesser, cosine }) => lesser >= fewest && low < cosine && cosine < high)
    .map(({ cosine }) => cosine);
  const edges = [low, ...between.sort((a, b) => a - b), high];
  const wide = (i) => edges[i + 1] - edges[i];
  let widest = 0;
  for (let i = 1; i < edges.length - 1; i++) if (wide(i) > wide(widest)) widest = i;
  return (edges[widest] + edges[widest + 1]) / 2;
}
