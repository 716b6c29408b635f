// The widget: the app whose answers come from Python. Recordings go there in parts, so that no
// limit on the size of one message stands in the way, and nowhere else.

import { app } from "./app.js";

const PART = 4_000_000; // bytes per message; Jupyter's servers take 10 MB

// What `look` finds, looked for now and at every event of that name.
function found(model, event, look) {
  return new Promise((resolve) => {
    const hear = (...heard) => {
      const it = look(...heard);
      if (!it) return;
      model.off(event, hear);
      resolve(it);
    };
    model.on(event, hear);
  });
}

// asked: with `voice`, against which emotion is read, or `learn`, whose voice is to be learnt.
async function send(model, file, key, asked) {
  let at = 0;
  try {
    do {
      const part = await file.slice(at, at + PART).arrayBuffer();
      at += PART;
      model.send({ key, name: file.name, last: at >= file.size, ...asked }, undefined, [part]);
    } while (at < file.size);
  } catch (error) {
    console.error(error);
    throw new Error(
      `${file.name} could not be sent to the kernel: choose it again, or run the cell again.`);
  }
}

function render({ model, el }) {
  const example = async (name) => {
    model.send({ example: name });
    return found(model, "msg:custom", (content, buffers) => content.example === name && buffers[0]);
  };
  const learn = async (file, person, plain, say) => {
    const key = `learn-${Date.now()}`;
    const learnt = found(model, "msg:custom", (content) => content.key === key && content);
    say(0);
    await send(model, file, key, { learn: { person, plain } });
    const { voice, error } = await learnt;
    if (error) throw new Error(error);
    return voice;
  };
  const answer = async (file, key, say, voice) => {
    const hear = (content) => content.key === key && say(content.share);
    const answered = found(model, "change:answers", () =>
      model.get("answers").find((one) => one.key === key));
    model.on("msg:custom", hear);
    say(0);
    await send(model, file, key, voice && { voice });
    await answered;
    model.off("msg:custom", hear);
    return answered;
  };
  const live = (rate, voice, told) => {
    const key = `live-${Date.now()}`;
    const hear = (content) => content.live === key && told(content);
    const send = (content, ...parts) => {
      try {
        model.send({ live: key, ...content }, undefined, parts);
      } catch {
        told({ error: "" }); // the kernel is gone
      }
    };
    model.on("msg:custom", hear);
    send({ rate, ...(voice && { voice }) });
    return {
      hear: (block) => send({}, block.buffer),
      end() {
        model.off("msg:custom", hear);
        send({ over: true });
      },
    };
  };
  const { show, close } = app(el, {
    sources: { accept: model.get("accept"), limit: model.get("limit") },
    offered: model.get("offered"),
    example,
    card: model.get("card"),
    columns: model.get("columns"),
    hint: "",
    where: "by the kernel of this page",
    madeBy: model.get("made_by"),
    learn,
    live,
    answer,
    clear() {
      model.set("answers", []);
      model.save_changes();
    },
  });
  const changed = () => show(model.get("answers"));
  changed();
  model.on("change:answers", changed);
  return () => {
    model.off("change:answers", changed);
    close();
  };
}

export default { render };
