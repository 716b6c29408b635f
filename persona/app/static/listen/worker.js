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

function ready(bundle, say) {
  predictor ??= loaded(bundle, say);
  predictor.catch(() => (predictor = undefined)); // the next press tries again
  return predictor;
}

// Answers audio, or learns the voice of one who speaks in it, where `learn` says who.
async function answered({ audio, bundle, voice, learn }, say) {
  const follow = (share) => say({ share });
  const by = await ready(bundle, say);
  return learn
    ? { voice: await by.learn(audio, learn.person, learn.plain, follow) }
    : by.predict(audio, follow, voice);
}

const speaking = new Map(); // recordings under way: what to hear them by, and what waits

// A recording begins, at `rate`.
async function begin({ id, bundle, rate, voice }, say) {
  const live = (await ready(bundle, say)).live(rate, voice);
  Object.assign(speaking.get(id) ?? {}, { live });
}

// Hears what waits of a recording, all at once where it is much, as on a slow device.
async function hear({ id }) {
  await new Promise((done) => setTimeout(done)); // so that what came meanwhile is among it
  const one = speaking.get(id), blocks = one?.waiting.splice(0) ?? [];
  if (one?.live && blocks.length) return { event: await one.live.hear(samples(blocks)) };
}

// 16-bit samples at the scale to which a browser decodes them.
function samples(blocks) {
  const whole = new Float32Array(blocks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const block of blocks) for (const x of block) whole[at++] = x / 32768;
  return whole;
}

let turn = Promise.resolve(); // the graphs hear one thing at a time

onmessage = ({ data }) => {
  const { id, block, over, rate } = data, say = (content) => postMessage({ id, ...content });
  if (over) return void speaking.delete(id);
  if (rate) speaking.set(id, { waiting: [] });
  if (block) speaking.get(id)?.waiting.push(block);
  const act = block ? hear : rate ? begin : answered;
  turn = turn.then(() => act(data, say)).then((found) => found && say(found), (error) => {
    if (!(error instanceof AudioError)) console.error(error);
    speaking.delete(id);
    say({ error: error instanceof AudioError ? error.message : "" });
  });
};
