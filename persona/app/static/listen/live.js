// Answers while somebody still speaks: persona/model/live.py. A recording of the page is shorter than
// the stretch after which windows are sure, so none is sure before the end, and the answer then is
// that to the file.

import { joined } from "./resampling.js";
import { Window } from "./speech.js";
import { weighed } from "./summary.js";

export class Live {
  #early = []; // of phrases that have ended
  #open = null; // of one that has not
  #tail = new Float32Array(0); // sound since the last that has
  #origin = 0;
  #told = new Map(); // turns by their start
  #people = [];
  #parts = new Map();

  // windows: of samples; run: hears one of them; toldApart: a Diarisation that runs parts of windows
  // by what it is given; answered: people of speakers and seconds. C: constants of "live".
  constructor(needed) {
    Object.assign(this, needed);
  }

  // What is known after these samples, at the recording's own rate: the event of persona/model/live.py.
  async hear(samples) {
    this.#tail = joined(this.#tail, this.resampler.chunk(samples));
    const told = (await this.#listen()) ? await this.#soFar() : this.#aged();
    const turns = this.#changed(told), gone = [...this.#told.keys()].filter((at) => !told.has(at));
    this.#told = told;
    const at = this.#end / this.rate, speaking = this.#open !== null;
    return { at, speaking, people: this.#people, turns, gone };
  }

  get #end() {
    return this.#origin + this.#tail.length;
  }

  // Whether what the tail holds is other than before.
  async #listen() {
    const { C, rate } = this, before = this.#open;
    const windows = (await this.windows(this.#tail)).map((one) => moved(one, this.#origin));
    if (!windows.length) {
      this.#keep(this.#end - Math.round(C.KEPT * rate));
      this.#open = null;
      return before !== null;
    }
    const done = this.#end - last(windows.at(-1)) >= C.LULL * rate;
    const heard = [];
    for (const window of windows)
      heard.push(same(before?.window, window) ? before : await this.run(window));
    this.#open = done ? null : heard.pop();
    this.#early.push(...heard);
    if (heard.length) this.#keep(last(heard.at(-1).window));
    return heard.length > 0 || this.#open !== before;
  }

  // Lets go of the sound before a sample.
  #keep(first) {
    const from = Math.max(first, this.#origin);
    this.#tail = this.#tail.slice(from - this.#origin);
    this.#origin = from;
  }

  // A part of a window, which is asked for again while those around it are provisional.
  #part = async (window) => {
    const key = `${window.pieces[0][0]} ${window.samples.length}`;
    if (!this.#parts.has(key)) this.#parts.set(key, await this.run(window));
    return this.#parts.get(key);
  };

  async #soFar() {
    const toldApart = this.toldApart(this.#part);
    for (const one of [...this.#early, ...(this.#open ? [this.#open] : [])]) await toldApart.hear(one);
    const speakers = await toldApart.speakers();
    const seconds = weighed(speakers.flatMap(({ said }) => said));
    const people = seconds > 0 ? this.answered(speakers, seconds) : [];
    this.#people = people.map(({ turns, ...person }) => person);
    const turns = people.flatMap((person, i) =>
      person.turns.map((turn) => ({ ...turn, person: i + 1 })));
    const latest = Math.max(0, ...turns.map(({ start }) => start));
    const known = turns.map((turn) => [turn.start,
      { ...turn, closed: turn.start < latest || this.#over(turn) }]);
    return new Map(known.sort(([a], [b]) => a - b));
  }

  // The turns told before, of which a pause may have ended the last.
  #aged() {
    return new Map([...this.#told].map(([at, turn]) =>
      [at, { ...turn, closed: turn.closed || this.#over(turn) }]));
  }

  #over({ end }) {
    return this.#end / this.rate - end >= this.C.PAUSE;
  }

  // Turns that are other than they were told before.
  #changed(told) {
    return [...told].flatMap(([at, now]) => {
      const before = this.#told.get(at);
      if (before && JSON.stringify(before) === JSON.stringify(now)) return [];
      return [{ ...now, corrected: before?.closed ?? false }];
    });
  }
}

const moved = ({ samples, pieces, rate }, by) =>
  new Window(samples, pieces.map((piece) => piece.map((edge) => edge + by)), rate);
const last = ({ pieces }) => pieces.at(-1)[1];
const same = (one, other) => JSON.stringify(one?.pieces) === JSON.stringify(other.pieces);
