// One switch a page for all code, remembered from page to page. The first page begins without code.
document.addEventListener("DOMContentLoaded", () => {
  if (!document.querySelector(".cell_input")) return;
  const key = document.querySelector(".persona-front") ? "persona-code-front" : "persona-code";
  const button = document.createElement("button");
  button.className = "btn btn-sm persona-switch";
  const show = (shown) => {
    document.documentElement.classList.toggle("persona-no-code", !shown);
    button.textContent = shown ? "Hide code" : "Show code";
    button.setAttribute("aria-pressed", String(shown));
  };
  button.addEventListener("click", () => {
    const shown = document.documentElement.classList.contains("persona-no-code");
    localStorage.setItem(key, String(shown));
    show(shown);
  });
  const kept = localStorage.getItem(key);
  show(kept === null ? key === "persona-code" : kept === "true");
  document.querySelector(".article-header-buttons").prepend(button);
});

// A wide equation scrolls on a phone, which keys must be able to do, too.
document.addEventListener("DOMContentLoaded", () => {
  for (const equation of document.querySelectorAll('math[display="block"]')) equation.tabIndex = 0;
});
