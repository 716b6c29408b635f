// Who speaks when: persona/people/diarisation.py, function for function. C are the constants of
// "diarisation", D those of "different".

import { dot, gap, joined, merges, numbered, unlike } from "./clustering.js";

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const argmax = (numbers) => numbers.reduce((best, x, i) => (x > numbers[best] ? i : best), 0);

// How many windows are unlike all that came before: persona/people/different.py.
export class Different {
  #kept = [];

  constructor({ ALIKE, MANY }, most = MANY) {
    Object.assign(this, { alike: ALIKE, most });
  }

  hear(embedding) {
    const length = Math.max(Math.sqrt(dot(embedding, embedding)), 1e-12);
    return this.#keep(embedding.map((x) => x / length));
  }

  join(other) {
    other.#kept.forEach((unit) => this.#keep(unit));
  }

  get count() {
    return this.#kept.length;
  }

  #keep(unit) {
    const full = this.count === this.most;
    if (full || this.#kept.some((other) => dot(unit, other) >= this.alike)) return false;
    this.#kept.push(unit);
    return true;
  }
}

// What was heard in one window, or a part of it, of one person.
const saidIn = ({ window, answers, embedding }) =>
  ({ pieces: window.spans, weight: window.weight, answers, embedding });

export const start = ({ pieces }) => pieces[0][0];
export const end = ({ pieces }) => pieces.at(-1)[1];

class Speaker {
  constructor(total, seconds, D) {
    Object.assign(this, { total, seconds, different: new Different(D), said: [] });
  }

  get mean() {
    return this.total.map((x) => x / this.seconds);
  }

  join(other) {
    this.total = this.total.map((x, i) => x + other.total[i]);
    this.seconds += other.seconds;
    this.different.join(other.different);
  }
}

// `hear` each window, in order, then ask for `speakers`. `run` hears a window: {window, embedding,
// answers, voices}; `count` is the number of people, where it is known; `areTwo` is asked of windows
// that are taken for one person's whether two people surely speak.
export class Diarisation {
  constructor(run, C, D, count = null, areTwo = () => false) {
    Object.assign(this, { run, C, D, count, areTwo, held: [], found: [], cuts: [], now: [] });
    this.alone = new Speaker([], 0, D); // who said it all, if nobody is told apart
  }

  async hear(heard) {
    this.alone.said.push(saidIn(heard));
    this.alone.different.hear(heard.embedding);
    if (this.count === 1) return;
    this.held.push(heard);
    if (sum(this.held.map(({ window }) => window.weight)) >= this.C.STRETCH) await this.#tellApart();
  }

  async speakers() {
    if (this.held.length) await this.#tellApart();
    if (this.found.length) this.#settle();
    if (this.found.length < 2) return [this.alone];
    this.alone.said.forEach((whole, i) => {
      let parts = this.cuts[i].map(([said, number]) => [said, this.now[number]]);
      if (new Set(parts.map(([, person]) => person)).size === 1) parts = [[whole, parts[0][1]]];
      for (const [said, person] of parts) this.found[person].said.push(said);
    });
    const spoken = ({ said }) => sum(said.map(({ weight }) => weight));
    return this.found.sort((a, b) => spoken(b) - spoken(a));
  }

  async #tellApart() {
    const { C, D } = this, held = this.held.splice(0);
    const edges = held.map(({ window }) => parts(window, C));
    const voices = held.flatMap((heard) => heard.voices);
    const rates = held.flatMap(({ window }, i) => edges[i].map(() => window.rate));
    const seconds = edges.flat().map(([first, last], i) => (last - first) / rates[i]);
    const labels = toldApart(voices, seconds, C);
    const first = this.found.length, offset = this.now.length;
    for (const { total, weight } of totals(voices, seconds, labels)) {
      this.now.push(this.found.length);
      this.found.push(new Speaker(total, weight, D));
    }
    let at = 0;
    for (const [i, heard] of held.entries()) {
      const own = labels.slice(at, (at += edges[i].length)), cut = [];
      for (const [part, number] of await this.#cut(heard, edges[i], own)) {
        cut.push([saidIn(part), offset + number]);
        this.found[first + number].different.hear(part.embedding);
      }
      this.cuts.push(cut);
    }
    this.#join(C.SURE);
  }

  // The window, or its parts in which another speaks than before, each run by itself.
  async #cut(heard, edges, labels) {
    const changes = labels.flatMap((label, i) => (i && label !== labels[i - 1] ? [i] : []));
    if (!changes.length) return [[heard, labels[0]]];
    const found = [], ends = [0, ...changes, labels.length];
    for (const [i, first] of ends.slice(0, -1).entries()) {
      const part = heard.window.part(edges[first][0], edges[ends[i + 1] - 1][1]);
      found.push([await this.run(part), labels[first]]);
    }
    return found;
  }

  // No more people than spoke for a while, or than there are known to be.
  #settle() {
    const { ALIKE, ALONE, SURE, FEWEST } = this.C;
    if (this.count === null) {
      const found = this.#merges();
      if (unlike(found, FEWEST) < ALONE) this.#join(gap(found, ALIKE, SURE, FEWEST));
      else this.count = this.areTwo(this.cuts.flat().map(([said]) => said)) ? 2 : 1;
    }
    const enough = this.found.map(({ seconds }) => seconds >= FEWEST);
    const many = enough.filter(Boolean).length;
    if (many < enough.length && many >= (this.count ?? 1)) {
      const means = this.found.map((person) => person.mean);
      const likeness = (a) => means.map((b, i) => (enough[i] ? dot(a, b) : -Infinity));
      this.#become(means.map((mean, i) => (enough[i] ? i : argmax(likeness(mean)))));
    }
    if (this.count !== null) this.#join(-1, this.count);
  }

  // Those whose voices are as much alike become one person, while there are more people.
  #join(alike, fewest = 1) {
    const most = Math.max(0, this.found.length - fewest);
    const done = this.#merges().slice(0, most).filter(({ cosine }) => cosine >= alike);
    this.#become(joined(done, this.found.length));
  }

  #merges() {
    return merges(this.found.map(({ mean }) => mean), this.found.map(({ seconds }) => seconds));
  }

  // Those of one label become one person.
  #become(labels) {
    const order = numbered(labels), people = [];
    this.found.forEach((person, i) => {
      if (people[order[i]]) people[order[i]].join(person);
      else people[order[i]] = person;
    });
    this.found = people;
    this.now = this.now.map((number) => order[number]);
  }
}

// Sum of the voices of each label, each times its seconds, and these seconds.
function totals(voices, seconds, labels) {
  return Array.from({ length: 1 + Math.max(...labels) }, (_, label) => {
    const own = labels.flatMap((x, i) => (x === label ? [i] : []));
    const total = Array.from(voices[0], (_, k) => sum(own.map((i) => seconds[i] * voices[i][k])));
    return { total, weight: sum(own.map((i) => seconds[i])) };
  });
}

// Number of the cluster of each voice, from 0: each is surely one person's.
export function toldApart(voices, seconds, C) {
  const least = Math.min(C.LEAST, Math.max(...seconds));
  const long = seconds.flatMap((s, i) => (s >= least ? [i] : []));
  const [heard, lengths] = [voices, seconds].map((all) => long.map((i) => all[i]));
  const sure = merges(heard, lengths).filter(({ cosine }) => cosine >= C.SURE);
  const labels = joined(sure, long.length);
  const means = totals(heard, lengths, labels).map(({ total }) => {
    const length = Math.sqrt(dot(total, total));
    return total.map((x) => x / length);
  });
  return voices.map((voice, i) =>
    long.includes(i) ? labels[long.indexOf(i)] : argmax(means.map((mean) => dot(voice, mean))));
}

// First sample and end of even parts of each piece of a window, where voices are taken.
export function parts(window, { PART }) {
  const { edges, rate } = window, most = Math.round(PART * rate);
  return edges.slice(1).flatMap((last, i) => {
    const first = edges[i], count = Math.ceil((last - first) / most);
    const edge = (n) => (n === count ? last : Math.trunc(first + (n * (last - first)) / count));
    return Array.from({ length: count }, (_, n) => [edge(n), edge(n + 1)]);
  });
}
