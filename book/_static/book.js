// Three states of a page's code: as the chapter is taught (some cells folded), all, none. One button
// goes on to the next, and what was chosen holds on every page. The first page begins without code.
document.addEventListener("DOMContentLoaded", () => {
  if (!document.querySelector(".cell_input")) return;
  const second = document.querySelector("span[id^='document-']");  // of all on one page, to print
  const front = !second && document.querySelector(".persona-front") !== null;
  const key = front ? "persona-code-front" : "persona-code";
  const folded = document.querySelectorAll("div.cell > details, div.cell .cell_input > details");
  const button = document.createElement("button");
  button.className = "btn btn-sm persona-switch";
  let state;
  const show = (next) => {
    state = next === "taught" && !folded.length ? "all" : next;
    document.documentElement.classList.toggle("persona-no-code", state === "none");
    for (const cell of folded) cell.open = state === "all";
    button.textContent = { taught: "Show all code", all: "Hide code", none: "Show code" }[state];
    button.setAttribute("aria-pressed", String(state === "all"));
  };
  button.addEventListener("click", () => {
    show(state === "all" ? "none" : "all");
    localStorage.setItem(key, state);
  });
  show(localStorage.getItem(key) ?? (front ? "none" : "taught"));
  document.querySelector(".article-header-buttons").prepend(button);
  if (!second) return;
  for (const answer of document.querySelectorAll("details:not(.hide)")) answer.open = true;
  for (const code of document.querySelectorAll(".cell_input"))
    if (code.compareDocumentPosition(second) & Node.DOCUMENT_POSITION_FOLLOWING) code.remove();
});

// What is wider than its place scrolls in a frame that keys reach, and fades where it goes on.
document.addEventListener("DOMContentLoaded", () => {
  const wide = ".bd-article table, .bd-article .cell_output img, .bd-article math[display=block]";
  const frames = [...document.querySelectorAll(wide)].map((thing) => {
    const frame = document.createElement("div");
    frame.className = "persona-frame";
    thing.replaceWith(frame);
    frame.append(thing);
    const measure = () => thing.style.setProperty("--natural", thing.naturalWidth);
    if (thing.complete) measure();
    else if (thing.tagName === "IMG") thing.addEventListener("load", measure);
    return frame;
  });
  frames.push(...document.querySelectorAll(".bd-article .highlight pre"));
  const name = (frame) => {
    const kinds = { TABLE: "Table", IMG: "Figure", math: "Equation" };
    const kind = kinds[frame.firstElementChild.tagName] ?? "Code";
    const caption = frame.closest("figure")?.querySelector(".caption-number")?.textContent;
    return `${caption?.trim() ?? kind}, scrolls sideways`;
  };
  const update = (frame) => {
    const over = frame.scrollWidth - frame.clientWidth;
    frame.classList.toggle("persona-more", over - frame.scrollLeft > 2);
    if (over > 2 && !frame.hasAttribute("tabindex")) {
      frame.tabIndex = 0;
      frame.setAttribute("role", "region");
      frame.setAttribute("aria-label", name(frame));
    } else if (over <= 2) {
      for (const attribute of ["tabindex", "role", "aria-label"]) frame.removeAttribute(attribute);
    }
  };
  for (const table of document.querySelectorAll(".bd-article table")) markFirstColumn(table);
  for (const label of document.querySelectorAll(".cell_output tbody th")) {
    label.classList.toggle("persona-short", label.textContent.length <= 12);
    label.classList.toggle("persona-long", label.textContent.length > 24);
  }
  const seen = new ResizeObserver(() => frames.forEach(update));
  for (const frame of frames) {
    frame.addEventListener("scroll", () => update(frame), { passive: true });
    seen.observe(frame);
    seen.observe(frame.firstElementChild);
  }
});

// A row under a label that spans several begins with the second column.
function markFirstColumn(table) {
  let spanned = 0;
  for (const row of table.rows) {
    if (spanned-- > 0 || !row.cells.length) continue;
    row.cells[0].classList.add("persona-first");
    spanned = row.cells[0].rowSpan - 1;
  }
}
