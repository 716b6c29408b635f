// What an answer on emotion is worth, by its probability. `worth` is worth.json, of
// persona/study/worth.py, or nothing of a model that was not measured so.

import { percent } from "./view.js";

// Of answers like one of this probability, which is null where none is given. One of several, `brief`,
// says nothing of what is alike for all.
export function worthOf(worth, probability, brief) {
  if (!worth || probability === null) return "";
  const { unseen } = worth;
  const i = unseen.findIndex(({ below }) => probability < below || below === 1);
  const { below, meant, heard } = unseen[i];
  const from = i ? `${percent(unseen[i - 1].below)} to` : "less than";
  return (
    `Of answers with ${from} ${percent(below)} on actors new to it, ${percent(meant)} named the ` +
    `emotion that was meant and ${percent(heard)} the one that most listeners heard.` +
    (brief ? "" : ` ${onNewSentences(worth)}`)
  );
}

export const onNewSentences = ({ known, new: unknown }) =>
  `On new sentences such networks are right less often: in ${percent(unknown)} of all clips in ` +
  `place of ${percent(known)}.`;
