// Loads the graphs when first asked and answers, beside the page, so that the page never stands
// still. What was loaded is kept by the browser, so the next visit needs no network.

import { AudioError } from "./audio.js";
import { Predictor } from "./predictor.js";

const here = (name) => new URL(name, import.meta.url).href;
const unloaded = (name) => new AudioError(`${name} could not be loaded: check the network.`);
let predictor;

// A file of the bundle, unpacked, from the browser's cache where it was loaded before.
async function load({ name, sha256 }, onBytes) {
  const address = here(`${name}?${sha256}`);
  const cache = await globalThis.caches?.open("persona");
  const kept = await cache?.match(address);
  const answer = kept ?? (await fetch(address).catch(() => new Response(null, { status: 503 })));
  if (!answer.ok) throw unloaded(name);
  const parts = [];
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    onBytes(value.length);
  }
  const blob = new Blob(parts);
  // A full disk is no reason to stop.
  if (!kept) await cache?.put(address, new Response(blob)).catch(() => {});
  return unpacked(blob);
}

// Some servers unpack what ends in .gz by themselves; the first two bytes tell.
async function unpacked(blob) {
  const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  const packed = first === 0x1f && second === 0x8b;
  const stream = packed ? blob.stream().pipeThrough(new DecompressionStream("gzip")) : blob.stream();
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function loaded(bundle, say) {
  const { runtime, ...graphs } = bundle.files;
  const total = Object.values(bundle.files).reduce((sum, file) => sum + file.bytes, 0);
  let bytes = 0;
  const onBytes = (more) => say({ loading: Math.min((bytes += more), total), total });
  const ort = await import("./ort.mjs").catch(() => Promise.reject(unloaded("ort.mjs")));
  ort.env.wasm.numThreads = 1; // more need headers that a static host does not send
  const get = async ([name, file]) => [name, await load(file, onBytes)];
  const [wasm, ...rest] = await Promise.all(Object.entries({ runtime, ...graphs }).map(get));
  ort.env.wasm.wasmBinary = wasm[1];
  return Predictor.load(bundle, ort, Object.fromEntries(rest));
}

// Answers audio, or learns the voice of one who speaks in it, where `learn` says who.
onmessage = async ({ data: { id, audio, bundle, voice, learn } }) => {
  const say = (content) => postMessage({ id, ...content });
  const follow = (share) => say({ share });
  try {
    predictor ??= loaded(bundle, say);
    predictor.catch(() => (predictor = undefined)); // the next press tries again
    const ready = await predictor;
    say(learn
      ? { voice: await ready.learn(audio, learn.person, learn.plain, follow) }
      : await ready.predict(audio, follow, voice));
  } catch (error) {
    if (!(error instanceof AudioError)) console.error(error);
    say({ error: error instanceof AudioError ? error.message : "" });
  }
};
