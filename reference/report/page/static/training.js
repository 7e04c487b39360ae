"use strict";
// Shows losses, drift, and two maps of the plane, as recorded for each step.

if (element("run")) {
  const run = () => recorded.training.runs[element("run").value];
  const steps = (numbers) => Array.from(numbers, (_, k) => k + 1);

  const drawLoss = chart("loss-chart", () => {
    const mine = unpacked(run().mine), theirs = unpacked(run().theirs), every = Math.max(1, Math.round(theirs.length / 20));
    return {
      data: [steps(mine), Array.from(mine), Array.from(theirs, (loss, k) => (k % every ? null : loss))],
      series: [
        { stroke: colour("mine"), width: 2, points: { show: false } },
        { paths: () => null, points: { show: true, size: 9, width: 2, stroke: colour("theirs"), fill: "transparent" } },
      ],
      words: `Losses of ${element("run").value}: the losses of both engines coincide`,
    };
  });

  const drawDrift = chart("drift-chart", () => {
    const drift = unpacked(run().drift), shown = positive(drift), some = shown.filter((x) => x !== null);
    const low = 10 ** Math.floor(Math.log10(Math.min(...some, 1e-16))), high = 10 ** Math.ceil(Math.log10(Math.max(...some, 1e-15)));
    const { first } = run();
    return {
      data: [steps(drift), shown],
      series: [{ stroke: colour("theirs"), width: 2, points: { show: true, size: 5, stroke: colour("theirs"), fill: colour("theirs") } }],
      logY: true,
      rangeY: [low, high],
      marks: first ? [{ x: first, y: drift[first - 1], look: "mine" }] : [],
      words: `The largest difference of any parameter of ${element("run").value}, step by step`,
    };
  });

  const showRun = () => {
    const { first, accuracy } = run();
    const when = first ? `A bit differs for the first time after step ${first} (the ring).` : "No bit ever differs.";
    const learned = accuracy ? ` At the end ndgrad is right on ${accuracy[0]} of the held-out examples, PyTorch on ${accuracy[1]}.` : "";
    element("run-words").textContent = when + learned;
  };

  element("run").addEventListener("input", () => {
    showRun();
    drawLoss();
    drawDrift();
  });
  showRun();
}

const maps = recorded.training.maps;
if (!maps) element("moons")?.remove();
else {
  const { side, low, high, steps } = maps;
  const mine = unpacked(maps.mine), theirs = unpacked(maps.theirs), points = unpacked(maps.points), targets = unpacked(maps.targets);
  const slider = element("map-slider");
  slider.max = steps.length - 1;

  const shaded = (context, cells, width, height) => {
    const paper = colour("paper");
    context.fillStyle = paper;
    context.fillRect(0, 0, width, height);
    cells.forEach((shade, k) => {
      context.globalAlpha = (Math.abs(shade - 127.5) / 127.5) * 0.6;
      context.fillStyle = colour(shade > 127 ? "mine" : "theirs");
      context.fillRect(((k % side) * width) / side, (Math.floor(k / side) * height) / side, width / side, height / side);
    });
    context.globalAlpha = 1;
  };

  const boundary = (context, cells, width, height) => {
    const w = width / side, h = height / side;
    context.strokeStyle = colour("ink");
    context.lineWidth = 3;
    context.beginPath();
    cells.forEach((shade, k) => {
      const x = (k % side) * w, y = Math.floor(k / side) * h, above = shade > 127;
      if (k % side && cells[k - 1] > 127 !== above) context.rect(x, y, 0, h);
      if (k >= side && cells[k - side] > 127 !== above) context.rect(x, y, w, 0);
    });
    context.stroke();
  };

  const examples = (context, width, height) => {
    context.lineWidth = 2;
    context.strokeStyle = colour("ink");
    targets.forEach((sign, k) => {
      const x = ((points[2 * k] - low[0]) / (high[0] - low[0])) * width, y = ((high[1] - points[2 * k + 1]) / (high[1] - low[1])) * height;
      context.beginPath();
      if (sign > 0) context.arc(x, y, 5, 0, 2 * Math.PI);
      else [[-4, 4], [4, -4]].forEach(([a, b]) => (context.moveTo(x + a, y - 4), context.lineTo(x + b, y + 4)));
      context.stroke();
    });
  };

  const drawMap = (id, cells) => {
    const canvas = element(id), context = canvas.getContext("2d");
    shaded(context, cells, canvas.width, canvas.height);
    boundary(context, cells, canvas.width, canvas.height);
    examples(context, canvas.width, canvas.height);
  };

  const drawMaps = () => {
    const k = Number(slider.value);
    drawMap("map-mine", row(mine, side * side, k));
    drawMap("map-theirs", row(theirs, side * side, k));
    element("map-out").textContent = steps[k];
    element("map-difference").textContent = `The outputs at the cells' centres differ by at most ${maps.differences[k]}.`;
  };
  slider.value = steps.length - 1;
  slider.addEventListener("input", drawMaps);
  redraws.push(drawMaps);
  drawMaps();
}
