"use strict";
// Steps through the frames of an expression. All frames are on the page already, and are only shown and hidden here.

const walks = new Map();

document.querySelectorAll(".walk").forEach((article) => {
  const frames = [...article.querySelectorAll(".frame")];
  const timed = [...article.querySelectorAll("[data-since]")];
  const boxes = [...article.querySelectorAll("[data-reached]")];
  const link = article.querySelector(".link");
  let current = 0;

  const show = (number) => {
    current = Math.max(0, Math.min(frames.length - 1, number));
    const frame = frames[current];
    const lit = new Set(frame.dataset.lit.split(" "));
    frames.forEach((other) => other.classList.toggle("on", other === frame));
    timed.forEach((line) => {
      const until = line.dataset.until ?? Infinity;
      line.classList.toggle("on", line.dataset.since <= current && current < until);
    });
    boxes.forEach((box) => box.classList.toggle("todo", box.dataset.reached > current));
    article.querySelectorAll(".graph [id]").forEach((part) => part.classList.toggle("lit", lit.has(part.id)));
    article.querySelector(".count").textContent = `step ${current} of ${frames.length - 1}`;
    article.querySelectorAll("[data-go=first], [data-go=back]").forEach((button) => (button.disabled = current === 0));
    article.querySelectorAll("[data-go=on], [data-go=last]").forEach((button) => {
      button.disabled = current === frames.length - 1;
    });
    link.href = `#${frame.id}`;
    article.querySelector(".graph .lit")?.scrollIntoView({ block: "nearest", inline: "center" });
  };

  const go = (number) => {
    show(number);
    history.replaceState(null, "", `#${frames[current].id}`);
    element("announcement").textContent = frames[current].innerText.replace(/\s+/g, " ");
  };

  article.querySelector(".controls").addEventListener("click", (event) => {
    const to = { first: 0, back: current - 1, on: current + 1, last: frames.length - 1 }[event.target.dataset.go];
    if (to !== undefined) go(to);
  });
  walks.set(article.dataset.name, { show, on: () => go(current + 1), back: () => go(current - 1) });
  show(0);
});

// Arrow keys step through the visible walk, unless the focused element uses them.
document.addEventListener("keydown", (event) => {
  const move = { ArrowRight: "on", ArrowLeft: "back" }[event.key];
  const panel = element("step").getBoundingClientRect();
  const here = event.target.closest("#step") || (event.target === document.body && panel.top < innerHeight / 2 && panel.bottom > innerHeight / 2);
  if (!move || !here || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  walks.get(document.querySelector(".walk.on").dataset.name)[move]();
});

const follow = () => {
  const [panel, name, number] = decodeURIComponent(location.hash.slice(1)).split("/");
  if (panel !== "step" || !walks.has(name)) return;
  choose(`step-${name}`);
  walks.get(name).show(Number(number) || 0);
  element(`step-${name}`).scrollIntoView();
};
addEventListener("hashchange", follow);
follow();
