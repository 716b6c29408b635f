// The page that listens: the app whose answers come from a worker beside the page. Nothing is sent
// anywhere.

import { app } from "./app.js";
import { read } from "./audio.js";
import { element } from "./intake.js";

const here = (name) => new URL(name, import.meta.url);
const megabytes = (bytes) => Math.round(bytes / 1e6);

// Answers by the worker that it starts on the first call.
class Answering {
  calls = new Map();
  count = 0;

  constructor(bundle) {
    this.bundle = bundle;
  }

  // asked: with `voice`, against which emotion is read, or `learn`, whose voice is to be learnt.
  ask(audio, onProgress, asked) {
    return new Promise((resolve, reject) => {
      const id = this.#post({ audio, ...asked }, (data) => {
        if (data.prediction || data.voice) resolve(data);
        else if ("error" in data) reject(new Error(data.error));
        else return onProgress(data);
        this.calls.delete(id);
      });
    });
  }

  // Follows a recording while it is made: `told` is told events, or an error, or what is loaded.
  follow(rate, voice, told) {
    const id = this.#post({ rate, voice }, told);
    return {
      hear: (block) => this.worker?.postMessage({ id, block }),
      end: () => {
        this.calls.delete(id);
        this.worker?.postMessage({ id, over: true });
      },
    };
  }

  #post(content, told) {
    this.worker ??= this.#started();
    const id = ++this.count;
    this.calls.set(id, told);
    this.worker.postMessage({ id, bundle: this.bundle, ...content });
    return id;
  }

  #started() {
    const worker = new Worker(here("worker.js"), { type: "module" });
    const over = (error) => {
      worker.terminate();
      this.worker = undefined; // the next press starts another
      for (const told of this.calls.values()) told({ error });
    };
    worker.onmessage = ({ data }) => {
      const told = this.calls.get(data.id);
      if (told && data.error === "") over(""); // after a fault the graphs may never run again
      else told?.(data);
    };
    worker.onerror = () => over("The model could not be loaded: check the network.");
    return worker;
  }
}

// Has offline.js, beside this document, keep what the page is made of. It is a convenience:
// where a host or a browser refuses it, the page goes on without.
async function keep(parts) {
  try {
    await navigator.serviceWorker.register("offline.js");
    const { active } = await navigator.serviceWorker.ready;
    const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
    const mine = loaded.filter((name) => name.startsWith(location.origin));
    const document = location.href.split("#")[0];
    active.postMessage([document, ...mine, ...parts.map((name) => here(name).href)]);
  } catch (error) {
    console.info("The page does not reload without a network:", error);
  }
}

// What the test of this page measured.
function measured({ clips, exact, pcm, coded, forms, ...speed }) {
  const { browser, first_seconds, later_seconds, live, live_slow, slower } = speed;
  const most = ([share, years]) => `${share.toFixed(3)} and ${years.toFixed(2)} years`;
  return (
    `Measured on ${clips} clips: probabilities and ages differ from those of the Python package ` +
    `by at most ${most(exact)} at 16 kHz; on ${forms} more by ${most(pcm)} in WAV of 8 to ` +
    `96 kHz, and by ${most(coded)} in MP3, M4A, AAC, FLAC, Opus and WebM. ` +
    `In ${browser}, the first answer took ` +
    `${first_seconds} s, loading included, and the next ${later_seconds} s; while one speaks, ` +
    `a second takes ${live} s of one processor, and ${live_slow} s of one ${slower} times as slow, ` +
    "as a telephone's may be. Where that is more than there is, answers come less often."
  );
}

async function mount(at) {
  const json = async (name) => (await fetch(here(name))).json();
  const [bundle, measures] = await Promise.all(["bundle.json", "measured.json"].map(json));
  const limits = bundle.constants.audio;
  const size = Object.values(bundle.files).reduce((sum, { bytes }) => sum + bytes, 0);
  const answering = new Answering(bundle);
  const answers = [];

  const progress = (say) => ({ loading, total, share }) => {
    if (!total) say(share);
    else if (loading === total) say(1, "Starting the model");
    else
      say(loading / total,
        `Loading the model, ${megabytes(loading)} of ${megabytes(total)} MB, once`);
  };
  const asked = async (file, say, what) =>
    answering.ask(await read(file, bundle.constants), progress(say), what);
  const predicted = async (file, say, voice) => {
    const { prediction, envelope } = await asked(file, say, { voice });
    keep(bundle.parts); // its graphs are kept by now
    return { row: { file: file.name, ...prediction }, envelope };
  };
  const failed = (file, error) =>
    error.message ||
    `${file.name} could not be predicted because of a fault in the program: please report it, ` +
      "with what the browser's console says.";
  const { show } = app(at, {
    sources: {
      accept: limits.EXTENSIONS.join(","),
      limit: limits.MAX_BYTES,
    },
    offered: bundle.offered,
    example: async (name) => (await fetch(here(`clips/${name}`))).arrayBuffer(),
    card: bundle.card,
    columns: bundle.columns,
    hint: `The first press loads ${megabytes(size)} MB, which the browser keeps.`,
    where: "on this device; nothing was sent",
    madeBy: bundle.fingerprint,
    live: (rate, voice, told) => {
      const loading = progress((_, text) => told({ text }));
      return answering.follow(rate, voice, (data) => (data.total ? loading : told)(data));
    },
    learn: async (file, person, plain, say) =>
      (await asked(file, say, { learn: { person, plain } })).voice,
    async answer(file, key, say, voice) {
      const one = await predicted(file, say, voice).catch((error) => ({
        row: { file: file.name, error: failed(file, error) },
      }));
      answers.push({ ...one, key });
      show(answers);
      return one;
    },
    clear() {
      answers.length = 0;
      show(answers);
    },
  });
  at.append(element("p", { class: "persona-faint" }, measured(measures)));
  at.classList.add("persona-ready");
}

await mount(document.getElementById("persona-listen"));
