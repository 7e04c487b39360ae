"use strict";
// Charts by uPlot, in the page's colours and the full width. Numbers that a logarithmic axis cannot show are left out.

const redraws = [];

const redrawAll = () => redraws.forEach((redraw) => redraw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
let resizing = 0;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(redrawAll, 100);
});

// Some powers of ten between two numbers, as many as there is room for.
const decades = (u, axis, low, high) => {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  const each = Math.max(1, Math.ceil((last - first) / (u.width < 450 ? 4 : 8)));
  return Array.from({ length: Math.floor((last - first) / each) + 1 }, (_, k) => 10 ** (first + k * each));
};

const axis = (log) => ({
  stroke: colour("ink"),
  grid: { stroke: colour("line"), width: 1 },
  ticks: { stroke: colour("line"), width: 1 },
  size: 62,
  values: (_, splits) => splits.map((value) => String(Number(value.toPrecision(6)))),
  ...(log && { splits: decades, filter: (_, splits) => splits, values: (_, splits) => splits.map((value) => `1e${Math.round(Math.log10(value))}`) }),
});

const positive = (numbers) => Array.from(numbers, (value) => (value > 0 ? value : null));

// A chart that is redrawn when its data, the window or the colours change. `describe` returns its current parts.
const chart = (id, describe) => {
  const place = element(id);
  let plot = null;
  const redraw = () => {
    const { data, series, logX = false, logY = false, rangeX, rangeY, marks = [], words } = describe();
    plot?.destroy();
    const draw = (u) => marks.forEach((mark) => ring(u, mark));
    plot = new uPlot(
      {
        width: Math.max(240, place.clientWidth),
        height: 280,
        pxAlign: 0,
        cursor: { show: false },
        legend: { show: false },
        scales: {
          x: { time: false, distr: logX ? 3 : 1, ...(rangeX && { range: () => rangeX }) },
          y: { distr: logY ? 3 : 1, ...(rangeY && { range: () => rangeY }) },
        },
        axes: [{ ...axis(logX), size: 36 }, axis(logY)],
        series: [{}, ...series.map((one) => ({ pxAlign: 0, ...one }))],
        hooks: { draw: [draw] },
      },
      data,
      place,
    );
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", words);
  };
  redraws.push(redraw);
  redraw();
  return redraw;
};

const ring = (u, { x, y, look }) => {
  if (x === null || y === null || !Number.isFinite(y)) return;
  const context = u.ctx;
  context.save();
  context.beginPath();
  context.arc(u.valToPos(x, "x", true), u.valToPos(y, "y", true), 6 * devicePixelRatio, 0, 2 * Math.PI);
  context.lineWidth = 2.5 * devicePixelRatio;
  context.strokeStyle = colour(look);
  context.setLineDash([]);
  context.stroke();
  context.restore();
};
