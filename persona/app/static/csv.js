// Answers as CSV: persona/model/answers.py's lines, cell for cell.

// `by`: "file", "person" or "turn", which a line is of; `columns` are those of each.
export function csv(rows, columns, by = "file") {
  const lines = rows.flatMap((row) => parts(row, by)).map((row) => {
    const { quality, emotion, gender, notes = [], ...rest } = row;
    const values = { ...gender, ...emotion, ...quality, ...rest, notes: notes.join("; ") };
    return columns[by].map((column) => quoted(cell(values[column])));
  });
  return [columns[by], ...lines].map((cells) => cells.join(",") + "\n").join("");
}

// The row of a file, or one of each of its people, or of each turn in order of time.
function parts(row, by) {
  if (by === "file" || row.error) return [row];
  const { file, notes } = row;
  const people = row.people.map((person, i) => ({ file, person: `${i + 1}`, ...person, notes }));
  if (by === "person") return people;
  return people
    .flatMap(({ person, turns }) => turns.map((turn) => ({ file, person, ...turn })))
    .sort((a, b) => a.start - b.start);
}

function cell(value) {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return value.toFixed(4);
  return /^[=+\-@\t\r]/.test(value) ? `'${value}` : value; // no formula for a spreadsheet to run
}

const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
