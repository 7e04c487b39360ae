"use strict";
// Shows one of several articles of a panel at a time. Each has a button that selects it.

const choose = (id) => {
  const chosen = element(id);
  const panel = chosen.closest(".panel");
  panel.querySelectorAll(".choice").forEach((choice) => choice.classList.toggle("on", choice === chosen));
  panel.querySelectorAll("[data-choose]").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.dataset.choose === id));
  });
};

document.querySelectorAll(".choices").forEach((group) => {
  group.addEventListener("click", (event) => {
    if (event.target.dataset.choose) choose(event.target.dataset.choose);
  });
  choose(group.querySelector("[data-choose]").dataset.choose);
});
