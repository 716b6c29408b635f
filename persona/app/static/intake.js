// Takes audio in, from files or the microphone, and plays it.

import { record } from "./microphone.js";

const LONGEST = 60; // seconds of one recording

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children); // strings become text, never markup
  return made;
}

// Moves a line over the pictures of the recording that is played.
function follow(audio, key) {
  audio.addEventListener("timeupdate", () => {
    for (const shown of document.querySelectorAll(`section[data-audio="${key}"]`)) {
      shown.classList.add("persona-playing");
      shown.style.setProperty("--at", audio.currentTime / audio.duration || 0);
    }
  });
  return audio;
}

// Plays from `start` to `end`, in seconds; stops where that is what it plays.
function part(audio, start, end) {
  const playing = !audio.paused && audio.turn === start;
  audio.pause();
  if (playing) return;
  Object.assign(audio, { turn: start, currentTime: start });
  const stop = () => {
    if (audio.turn === start && audio.currentTime >= end) audio.pause();
    if (audio.turn !== start || audio.paused) audio.removeEventListener("timeupdate", stop);
  };
  audio.addEventListener("timeupdate", stop);
  audio.play();
}

const LOST = "The microphone was taken away: what was recorded until then is kept.";

function whyNot(error) {
  if (!navigator.mediaDevices)
    return "This page may not use a microphone: open it on localhost or over https.";
  if (error.name === "NotAllowedError")
    return "The microphone was not allowed: allow it in the browser and press Record again.";
  if (error.name === "NotFoundError")
    return "There is no microphone: connect one, or choose a file.";
  return "The microphone gave nothing that can be read: try again, or choose a file.";
}

// Fills `el`; gives `close`, which ends it, `take(files)`, as if they had been chosen, `play(key, start,
// end)`, which plays a part of what was taken, seconds, and nothing of what was not, `forget(key)`,
// after which it does not, and `focus`. `taken` is called with the files of every choice, those within
// `limit` bytes, with the choice's number, and with what `over` gave. `recording(rate, longest)` is
// called when a recording begins, and gives `heard(block, seconds)`, for what is recorded, and
// `over()`, for its end.
export function intake(el, { accept, limit, taken, recording }) {
  const chooser = element("input", {
    type: "file",
    multiple: "",
    accept,
    id: `persona-files-${Math.random().toString(36).slice(2)}`,
  });
  const label = element("label", { for: chooser.id }, "Choose audio files");
  const button = element("button", { type: "button", class: "persona-record" }, "Record");
  const said = element("p", { class: "persona-said", role: "status", "aria-live": "polite" });
  const players = element("ul", { class: "persona-players", "aria-label": "Audio to hear" });
  const audios = new Map(); // by key, for as long as the page is open
  let stop = null;
  let latest = 0;

  const take = (files, followed) => {
    const large = files.filter((file) => file.size > limit);
    const fitting = files.filter((file) => file.size <= limit);
    const megabytes = (bytes) => Number((bytes / 1e6).toPrecision(3));
    said.textContent = large
      .map((file) =>
        `"${file.name}" is ${megabytes(file.size)} MB, over the limit of ${megabytes(limit)} MB: ` +
        "shorten or compress it.")
      .join(" ");
    const batch = (latest = Math.max(Date.now(), latest + 1));
    players.replaceChildren(
      ...fitting.map((file, index) => {
        const key = `${batch}-${index}`, src = URL.createObjectURL(file);
        const player = { controls: "", src, "aria-label": `Play ${file.name}` };
        audios.set(key, follow(element("audio", player), key));
        return element("li", {},
          element("span", { class: "persona-name" }, file.name), audios.get(key));
      }));
    taken(fitting, batch, followed);
  };

  chooser.addEventListener("change", () => {
    const files = [...chooser.files];
    chooser.value = ""; // so that the same file can be chosen again
    if (files.length) take(files);
  });

  button.addEventListener("click", async () => {
    if (stop) return stop();
    let over = () => {};
    stop = () => {}; // while the browser asks
    try {
      const { file, lost } = await record(LONGEST, (rate, stopper) => {
        stop = stopper;
        button.textContent = "Stop recording";
        button.classList.add("persona-on");
        said.textContent = "";
        const begun = recording(rate, LONGEST);
        over = begun.over;
        return begun.heard;
      });
      take([file], over());
      if (lost) said.textContent = LOST;
    } catch (error) {
      over();
      said.textContent = whyNot(error);
    } finally {
      stop = null;
      button.textContent = "Record";
      button.classList.remove("persona-on");
    }
  });

  for (const kind of ["dragenter", "dragover", "dragleave", "drop"])
    el.addEventListener(kind, (event) => {
      event.preventDefault();
      el.classList.toggle("persona-dropping", kind === "dragenter" || kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) take([...event.dataTransfer.files]);
    });

  el.append(
    element("div", { class: "persona-intake", role: "group", "aria-label": "Audio" },
      element("div", { class: "persona-choose" }, chooser, label,
        element("span", { class: "persona-faint" }, "or drop them here")),
      element("div", { class: "persona-choose" },
        button, element("span", { class: "persona-faint" }, "from the microphone"))),
    said, players);
  return {
    take,
    focus: () => chooser.focus(),
    forget(key) {
      const audio = audios.get(key);
      if (!audio) return; // of an answer that another page asked for
      audio.pause();
      URL.revokeObjectURL(audio.src);
      audio.parentElement?.remove();
      audios.delete(key);
    },
    close() {
      if (stop) stop();
      audios.forEach(({ src }) => URL.revokeObjectURL(src));
    },
    play(key, start, end) {
      for (const [other, audio] of audios) if (other !== key) audio.pause();
      if (audios.has(key)) part(audios.get(key), start, end);
    },
  };
}
