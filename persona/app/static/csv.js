// Answers as CSV: persona/model/answers.py's lines, cell for cell.

export function csv(rows, columns) {
  const lines = rows.map((row) => {
    const { quality, emotion, gender, notes = [], ...rest } = row;
    const values = { ...gender, ...emotion, ...quality, ...rest, notes: notes.join("; ") };
    return columns.map((column) => quoted(cell(values[column])));
  });
  return [columns, ...lines].map((cells) => cells.join(",") + "\n").join("");
}

function cell(value) {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return value.toFixed(4);
  return /^[=+\-@\t\r]/.test(value) ? `'${value}` : value; // no formula for a spreadsheet to run
}

const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
