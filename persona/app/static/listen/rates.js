// The sampling rate that a file states, which the browser does not tell and without which it would
// resample while decoding, by a filter that takes away what the network listens to.

const text = (bytes, at, length) => String.fromCharCode(...bytes.subarray(at, at + length));
const ENTRIES = ["mp4a", "alac", "fLaC"]; // of an MP4 file, for sound

// Hz, or undefined where nothing that is known here states it. `buffer` holds the file.
export function statedRate(buffer) {
  const bytes = new Uint8Array(buffer), view = new DataView(buffer);
  try {
    const start = text(bytes, 0, 3) === "ID3" ? 10 + syncsafe(bytes) : 0;
    const kind = text(bytes, start, 4);
    if (["RIFF", "RF64"].includes(kind)) return riff(bytes, view);
    if (kind === "fLaC") return flac(view, start + 4);
    if (kind === "OggS") return ogg(bytes, view);
    if (text(bytes, 4, 4) === "ftyp") return mp4(bytes, view);
    if (text(bytes, 1, 3) === "E\xdf\xa3") return matroska(bytes);
    return frames(bytes, start);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // it ends within its header
    throw error;
  }
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
