"use strict";
// Reads the recorded data. Arrays are base64 of their bytes, so that every bit is preserved.

const recorded = JSON.parse(document.getElementById("recorded").textContent);

const unpacked = (array) => {
  const bytes = Uint8Array.from(atob(array.f8 ?? array.u1), (c) => c.charCodeAt(0));
  return array.u1 ? bytes : new Float64Array(bytes.buffer);
};

const row = (numbers, width, i) => numbers.subarray(i * width, (i + 1) * width);

const element = (id) => document.getElementById(id);

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
