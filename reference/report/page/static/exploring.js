"use strict";
// Shows a function, its tangent and a secant. The sliders move along the recorded points, and the slopes are the recorded ones.

const curves = recorded.curves.map((curve) => ({
  ...curve,
  fine: unpacked(curve.fine), values: unpacked(curve.values), h: unpacked(curve.h), slopes: unpacked(curve.slopes),
  differences: unpacked(curve.differences), errors: unpacked(curve.errors),
}));

const written = (h) => String(Number(h.toPrecision(2)));

const explored = () => {
  const curve = curves[element("curve").selectedIndex];
  const i = Number(element("x-slider").value);
  const j = Number(element("h-slider").value);
  const each = (curve.fine.length - 1) / (curve.points.length - 1);
  return {
    curve, i, j, x: curve.fine[i * each], y: curve.values[i * each], h: curve.h[j], slope: curve.slopes[i],
    difference: row(curve.differences, curve.h.length, i)[j], errors: row(curve.errors, curve.h.length, i),
  };
};

const drawCurve = chart("curve-chart", () => {
  const { curve, x, y, h, slope, difference } = explored();
  const line = (m) => Array.from(curve.fine, (t) => y + m * (t - x));
  const finite = curve.values.filter(Number.isFinite), low = Math.min(...finite), high = Math.max(...finite), room = 0.12 * (high - low);
  return {
    data: [Array.from(curve.fine), Array.from(curve.values, (value) => (Number.isFinite(value) ? value : null)), line(slope), line(difference)],
    series: [
      { stroke: colour("ink"), width: 2, points: { show: false } },
      { stroke: colour("mine"), width: 2, dash: [8, 5], points: { show: false } },
      { stroke: colour("theirs"), width: 2.5, dash: [2, 5], points: { show: false } },
    ],
    rangeX: [curve.fine[0], curve.fine.at(-1)],
    rangeY: [low - room, high + room],
    marks: [{ x, y, look: "mine" }, { x: x + h, y: y + difference * h, look: "theirs" }],
    words: `${curve.title} from ${curve.fine[0]} to ${curve.fine.at(-1)}, with the tangent at ${x} and a secant from there`,
  };
});

const drawError = chart("error-chart", () => {
  const { curve, j, errors } = explored();
  const steps = Array.from(curve.h), shown = positive(errors);
  return {
    data: [steps, shown],
    series: [{ stroke: colour("theirs"), width: 2, points: { show: true, size: 6, stroke: colour("theirs"), fill: colour("theirs") } }],
    logX: true, logY: true, rangeX: [1e-16, 1], rangeY: [1e-16, 1e2],
    marks: [{ x: curve.h[j], y: errors[j] > 0 ? errors[j] : null, look: "mine" }],
    words: "The error of the secant's slope against h: it falls with h, and rises again if h is small",
  };
});

const showExplored = () => {
  const { curve, i, h, difference, errors, j } = explored();
  const [x, mine, theirs, exact, ulp] = curve.points[i];
  const told = {
    "curve-words": curve.words, "x-out": x, "h-out": written(h), "slope-mine": mine, "slope-theirs": theirs,
    "slope-exact": exact === "–" ? "– (a kink: there is no one slope)" : exact, "slope-ulp": ulp, "slope-secant": String(difference),
    "slope-error": Number.isFinite(errors[j]) ? errors[j].toExponential(1) : "–",
  };
  Object.entries(told).forEach(([id, text]) => (element(id).textContent = text));
  const finite = Array.from(errors, (error) => (Number.isFinite(error) ? error : Infinity));
  const best = finite.indexOf(Math.min(...finite));
  element("best").textContent = Number.isFinite(finite[best])
    ? `Of the recorded h, ${written(curve.h[best])} is best here: an error of ${finite[best].toExponential(1)}. ndgrad's slope needs no h.`
    : "";
};

const explore = () => {
  showExplored();
  drawCurve();
  drawError();
};
["curve", "x-slider", "h-slider"].forEach((id) => element(id).addEventListener("input", explore));
showExplored();
