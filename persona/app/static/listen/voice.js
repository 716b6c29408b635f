// A person's usual voice, which emotion is read against: persona/people/voice.py. C are the
// constants of "voice".

const mean = (rows, size) =>
  Float64Array.from({ length: size }, (_, i) =>
    rows.reduce((sum, row) => sum + row[i], 0) / rows.length);

// The offset of the person whose different phrases these are. usual: rows of `voices.usual`.
// emotions: the mean probabilities of the phrases less an offset. plain: the class that all phrases
// are known to be of; without it the mix is estimated.
export async function offsetOf(embeddings, [everybody, ...differs], emotions, C, plain = null) {
  const count = embeddings.length, size = everybody.length;
  const away = mean(embeddings, size).map((x, i) => x - everybody[i]);
  if (plain !== null) {
    const share = count / (count + C.SHRINK_PLAIN);
    return Float32Array.from(away, (x, i) => share * (x - differs[plain][i]));
  }
  const share = count / (count + C.SHRINK), offset = new Float32Array(size);
  for (let step = 0; step < C.STEPS; step++) {
    const mix = await emotions(offset);
    for (let i = 0; i < size; i++) {
      const expected = differs.reduce((sum, row, k) => sum + mix[k] * row[i], 0);
      offset[i] += C.DAMPING * (share * (away[i] - expected) - offset[i]);
    }
  }
  return offset;
}

// Offsets as text, which a browser keeps.
export const asText = (offset) =>
  btoa(Array.from(new Uint8Array(offset.buffer), (byte) => String.fromCharCode(byte)).join(""));

export const asOffset = (text) =>
  new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
