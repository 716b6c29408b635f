// Records a microphone at its own rate. What is heard while it is recorded and what is kept as a file
// are the same 16-bit samples.

const BLOCK = 0.5; // seconds between which what is recorded is passed on
// As it is: what makes calls clearer takes from a voice what the network listens to.
const VOICE = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

// In the thread of sound, where it comes as its text: nothing has to lie beside a notebook.
function passingOn() {
  registerProcessor("persona-blocks", class extends AudioWorkletProcessor {
    constructor({ processorOptions: { size } }) {
      super();
      this.block = new Int16Array(size);
      this.filled = 0;
      this.port.onmessage = () => {
        if (!this.over) this.#pass(this.block.slice(0, this.filled));
        this.over = true;
        this.#pass(null);
      };
    }

    process([[samples = []]]) {
      for (const x of this.over ? [] : samples) {
        this.block[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(32768 * x)));
        if (this.filled < this.block.length) continue;
        this.#pass(this.block.slice());
        this.filled = 0;
      }
      return !this.over;
    }

    #pass(block) {
      this.port.postMessage(block);
    }
  });
}

// Records until it is stopped, until `longest` seconds, or until the microphone is gone. `begun(rate,
// stop)` is called once one can speak; what it gives is called with each block, and all seconds until
// then. Gives the `file`, and whether the microphone was `lost`.
export async function record(longest, begun) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: VOICE });
  try {
    return await recorded(stream, longest, begun);
  } finally {
    stream.getTracks().forEach((one) => one.stop());
  }
}

async function recorded(stream, longest, begun) {
  const [track] = stream.getAudioTracks();
  const source = sourceOf(stream, track.getSettings().sampleRate);
  const { context } = source, rate = context.sampleRate;
  const blocks = [];
  let count = 0, lost = false;
  try {
    const node = await processor(context, Math.round(BLOCK * rate));
    await context.resume();
    await new Promise((ended) => {
      const stop = () => {
        node.port.postMessage("stop");
        setTimeout(ended, 1000); // a context that no longer runs may not answer
      };
      const lose = () => {
        lost = true;
        stop();
      };
      const heard = begun(rate, stop);
      node.port.onmessage = ({ data }) => {
        if (!data) return ended();
        blocks.push(data);
        heard(data, (count += data.length) / rate);
        if (count >= longest * rate) stop();
      };
      track.onended = lose;
      context.onstatechange = () => context.state === "running" || lose(); // as when a telephone rings
      source.connect(node).connect(context.destination);
    });
  } finally {
    track.onended = context.onstatechange = null;
    context.close();
  }
  return { file: new File([wav(blocks, count, rate)], "recording.wav", { type: "audio/wav" }), lost };
}

// Some browsers tell no rate, and some take no other than their own.
function sourceOf(stream, sampleRate) {
  try {
    return new AudioContext({ sampleRate }).createMediaStreamSource(stream);
  } catch {
    return new AudioContext().createMediaStreamSource(stream);
  }
}

async function processor(context, size) {
  const code = new Blob([`(${passingOn})()`], { type: "text/javascript" });
  const address = URL.createObjectURL(code);
  await context.audioWorklet.addModule(address);
  URL.revokeObjectURL(address);
  const mono = { channelCount: 1, channelCountMode: "explicit" };
  return new AudioWorkletNode(context, "persona-blocks", { ...mono, processorOptions: { size } });
}

function wav(blocks, count, rate) {
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * count, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * count, true);
  return new Blob([view, ...blocks]); // every browser's machine is little-endian
}
