// What a file states and the browser does not tell: its sampling rate, without which it would be
// resampled while it is decoded, by a filter that takes away what the network listens to; and how
// long it is, by which is seen that it was cut.

const text = (bytes, at, length) => String.fromCharCode(...bytes.subarray(at, at + length));
const ENTRIES = ["mp4a", "alac", "fLaC"]; // of an MP4 file, for sound

// Hz, or undefined where nothing that is known here states it. `buffer` holds the file.
export const statedRate = (buffer) => within(() => {
  const bytes = new Uint8Array(buffer), view = new DataView(buffer);
  const start = begin(bytes), kind = text(bytes, start, 4);
  if (RIFF.includes(kind)) return view.getUint32(chunk(bytes, view, "fmt ") + 12, true);
  if (kind === "fLaC") return flac(view, start + 4);
  if (kind === "OggS") return ogg(bytes, view);
  if (text(bytes, 4, 4) === "ftyp") return mp4(bytes, view);
  if (text(bytes, 1, 3) === "E\xdf\xa3") return matroska(bytes);
  return frames(bytes, start);
});

// Seconds that a FLAC or WAV file states, or undefined.
export const statedSeconds = (buffer) => within(() => {
  const bytes = new Uint8Array(buffer), view = new DataView(buffer), at = begin(bytes);
  if (text(bytes, at, 4) === "fLaC") {
    const samples = (view.getUint8(at + 21) % 16) * 2 ** 32 + view.getUint32(at + 22);
    return samples / flac(view, at + 4) || undefined;
  }
  if (text(bytes, 0, 4) !== "RIFF") return undefined;
  const stated = view.getUint32(chunk(bytes, view, "data") + 4, true);
  const second = view.getUint32(chunk(bytes, view, "fmt ") + 16, true); // bytes of it
  return stated < UNKNOWN ? stated / second : undefined;
});

const RIFF = ["RIFF", "RF64"];
const UNKNOWN = 0x7f000000; // bytes; writers to a pipe state more

function within(look) {
  try {
    return look();
  } catch (error) {
    if (error instanceof RangeError) return undefined; // it ends within its header
    throw error;
  }
}

const begin = (bytes) => (text(bytes, 0, 3) === "ID3" ? 10 + syncsafe(bytes) : 0);

// Where the chunk of this name begins, in a RIFF file.
function chunk(bytes, view, name) {
  let at = 12;
  while (text(bytes, at, 4) !== name) {
    const size = view.getUint32(at + 4, true);
    at += 8 + size + (size % 2);
  }
  return at;
}

const syncsafe = (bytes) => bytes.subarray(6, 10).reduce((size, x) => size * 128 + x, 0);

function riff(bytes, view) {
  for (let at = 12; ; at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) % 2))
    if (text(bytes, at, 4) === "fmt ") return view.getUint32(at + 12, true);
}

const flac = (view, block) => view.getUint32(block + 14) >>> 12;

// Opus is decoded at 48 kHz, whatever it was made from.
function ogg(bytes, view) {
  const at = 27 + bytes[26]; // of the first packet
  if (text(bytes, at + 1, 6) === "vorbis") return view.getUint32(at + 12, true);
  if (text(bytes, at + 1, 4) === "FLAC") return flac(view, at + 13);
  return text(bytes, at, 8) === "OpusHead" ? 48000 : undefined;
}

// The rate stands in the first sound track's table "stsd".
function mp4(bytes, view) {
  for (let at = 0; (at = bytes.indexOf(115, at + 1)) > 0; )
    if (text(bytes, at, 4) === "stsd" && ENTRIES.includes(text(bytes, at + 16, 4)))
      return view.getUint16(at + 44) || undefined;
}

const matroska = (bytes) => (text(bytes, 0, 4096).includes("A_OPUS") ? 48000 : undefined);

// The first frame of MP3 or of AAC.
function frames(bytes, start) {
  for (let at = start; (at = bytes.indexOf(255, at)) >= 0; at++) {
    const [, second, third] = bytes.subarray(at, at + 3);
    if ((second & 0xf6) === 0xf0) return ADTS[(third >> 2) & 15];
    const version = (second >> 3) & 3, layer = (second >> 1) & 3, rate = (third >> 2) & 3;
    if (second >> 5 === 7 && version !== 1 && layer && rate < 3 && third >> 4 < 15)
      return [44100, 48000, 32000][rate] / [4, , 2, 1][version];
  }
}

const ADTS = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000];
