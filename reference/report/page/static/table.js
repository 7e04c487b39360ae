"use strict";
// The table by op, sorted by any column and filtered by names.

const body = document.querySelector("#ops tbody");

const sortBy = (column, button) => {
  const head = button.closest("th");
  const down = head.getAttribute("aria-sort") === (head.dataset.kind === "number" ? "descending" : "ascending");
  const ascending = (head.dataset.kind === "number") === down;
  document.querySelectorAll("#ops thead th").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const key = (line) => (column ? line.cells[column].dataset.value : line.dataset.op);
  const compare = (a, b) => (head.dataset.kind === "number" ? key(a) - key(b) : key(a).localeCompare(key(b)));
  const lines = [...body.rows].sort((a, b) => (ascending ? compare(a, b) : compare(b, a)));
  body.append(...lines);
};

document.querySelectorAll("#ops thead button").forEach((button, column) => {
  button.disabled = false;
  button.addEventListener("click", () => sortBy(column, button));
});

element("filter").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
  const lines = [...body.rows];
  lines.forEach((line) => (line.hidden = words.length > 0 && !words.some((word) => line.dataset.op.toLowerCase().includes(word))));
  element("filtered").textContent = words.length ? `${lines.filter((line) => !line.hidden).length} of ${lines.length} shown` : "";
});
