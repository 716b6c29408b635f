// The page that listens: takes audio as the widget does (intake.js), answers it in a worker beside
// the page, and shows the answers. Nothing is sent anywhere.

import { read } from "./audio.js";
import { csv } from "./csv.js";
import intake, { element } from "./intake.js";
import { about, measured, result, sentence } from "./view.js";

const here = (name) => new URL(name, import.meta.url);
const megabytes = (bytes) => Math.round(bytes / 1e6);

// What intake.js sends to Python from a notebook is kept here: the files that were chosen last.
class Chosen {
  files = [];

  constructor(traits, changed) {
    Object.assign(this, { traits, changed, arriving: [] });
  }

  get(name) {
    return this.traits[name];
  }

  on(_, example) {
    this.example = example;
  }

  async send(part, _, buffers) {
    if (part.example) {
      const answer = await fetch(here(`examples/${part.example}`));
      this.example(part, [await answer.arrayBuffer()]);
      return;
    }
    if (part.batch !== this.batch) Object.assign(this, { batch: part.batch, arriving: [] });
    if (part.index === this.arriving.length) this.arriving.push({ name: part.name, parts: [] });
    if (part.files) this.arriving.at(-1).parts.push(...buffers);
    const whole = !part.files || (part.last && this.arriving.length === part.files);
    this.files = whole ? this.arriving.map(({ name, parts }) => new File(parts, name)) : [];
    this.changed();
  }
}

// Answers audio, one at a time, by the worker that it starts on the first call.
class Answering {
  count = 0;

  constructor(bundle) {
    this.bundle = bundle;
  }

  predict(audio, onProgress) {
    this.worker ??= new Worker(here("worker.js"), { type: "module" });
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      this.worker.onerror = () => {
        this.worker = undefined; // its own parts could not be loaded; the next press tries again
        reject(new Error("The model could not be loaded: check the network."));
      };
      this.worker.onmessage = ({ data }) => {
        if (data.id !== id) return;
        if (data.prediction) resolve(data.prediction);
        else if ("error" in data) reject(new Error(data.error));
        else onProgress(data);
      };
      this.worker.postMessage({ id, audio, bundle: this.bundle });
    });
  }
}

function saved(kind, type, text) {
  const href = URL.createObjectURL(new Blob([text], { type }));
  return element("a", { download: `persona.${kind}`, href }, `Save as ${kind.toUpperCase()}`);
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

async function mount(at) {
  const json = async (name) => (await fetch(here(name))).json();
  const [bundle, measures] = await Promise.all(["bundle.json", "measured.json"].map(json));
  const { html, audio: limits } = bundle.constants;
  const answering = new Answering(bundle);
  const rows = [];

  const taking = element("div");
  const button = element("button", { type: "button", class: "persona-press", disabled: "" },
    "Make predictions");
  const size = Object.values(bundle.files).reduce((sum, { bytes }) => sum + bytes, 0);
  const hint = element("span", { class: "persona-faint" },
    `The first press loads ${megabytes(size)} MB, which the browser keeps.`);
  const status = element("p", { role: "status", "aria-live": "polite", class: "persona-status" });
  const bar = element("progress", { max: "1", value: "0", "aria-label": "Progress", hidden: "" });
  const downloads = element("p", { class: "persona-downloads" });
  const results = element("div");

  const chosen = new Chosen(
    { accept: limits.EXTENSIONS.join(","), limit: limits.MAX_BYTES, examples: bundle.examples },
    () => (button.disabled = !chosen.files.length));

  const progress = (name, which) => ({ loading, total, share }) => {
    const text =
      total && loading < total
        ? `Loading the model, ${megabytes(loading)} of ${megabytes(total)} MB, once`
        : total ? "Starting the model" : `Predicting ${name} (${which})`;
    if (status.textContent !== text) status.textContent = text;
    bar.value = total ? loading / total : share;
  };

  const answer = async (file, which, key) => {
    try {
      const { envelope, ...audio } = await read(file, limits);
      const predicted = await answering.predict(audio, progress(file.name, which));
      rows.push({ file: file.name, ...predicted });
      results.prepend(result(file.name, predicted, envelope, key, html));
      return sentence(file.name, predicted);
    } catch (error) {
      const text =
        error.message ||
        `${file.name} could not be predicted because of a fault in the program: please report ` +
          "it, with what the browser's console says.";
      rows.push({ file: file.name, error: text });
      results.prepend(element("p", { class: "persona-error", role: "alert" }, text));
      return "";
    }
  };

  button.addEventListener("click", async () => {
    const { files, batch } = chosen;
    button.disabled = true;
    bar.hidden = false;
    const pressed = performance.now();
    const said = [];
    for (const [i, file] of files.entries())
      said.push(await answer(file, `${i + 1} of ${files.length}`, `${batch}-${i}`));
    bar.hidden = hint.hidden = true;
    const seconds = ((performance.now() - pressed) / 1000).toFixed(1);
    status.replaceChildren(
      element("span", { class: "persona-heard" }, said.join(" ")),
      ` Done in ${seconds} s on this device; nothing was sent.`);
    downloads.replaceChildren(
      saved("csv", "text/csv", csv(rows, bundle.columns)),
      saved("json", "application/json", JSON.stringify(rows, null, 1)));
    if (rows.some((row) => !row.error)) keep(bundle.parts); // its graphs are kept by now
  });

  at.replaceChildren(
    taking,
    element("p", { class: "persona-act" }, button, hint),
    status, bar, downloads, results,
    element("p", { class: "persona-not-for" }, html.NOT_FOR),
    about(bundle.card.limits, bundle.card.uses.refused),
    element("p", { class: "persona-faint" }, measured(measures)));
  intake.render({ model: chosen, el: taking });
  at.classList.add("persona", "persona-ready");
}

await mount(document.getElementById("persona-listen"));
