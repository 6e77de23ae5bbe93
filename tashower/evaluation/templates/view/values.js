// Numbers as text, ticks of axes, and waveforms from their packed form. Nothing here touches the page.
"use strict";

const NOTHING = "\u2014";
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

// A number to so many significant digits, thousands separated; a dash for what is not known, never "-0".
function numberText(value, digits = 3) {
  if (!isNumber(value)) return NOTHING;
  const size = Math.abs(value);
  const places = size > 0 ? Math.max(0, digits - 1 - Math.floor(Math.log10(size))) : 0;
  return fixedText(value, Math.min(places, 12));
}

// A number as it is, such as a width that somebody chose.
const plainText = (value) => (isNumber(value) ? String(Number(value.toPrecision(6))) : NOTHING);

// A number with so many digits behind the point.
function fixedText(value, places) {
  if (!isNumber(value)) return NOTHING;
  const options = { minimumFractionDigits: places, maximumFractionDigits: places };
  const text = Math.abs(value).toLocaleString("en-US", options);
  return value < 0 && /[1-9]/.test(text) ? `\u2212${text}` : text;
}

// A time [ns] with a unit that suits it.
function timeText(value) {
  if (!isNumber(value)) return NOTHING;
  for (const [least, unit, size] of [[1e6, "ms", 1e6], [1e3, "\u00b5s", 1e3]]) {
    if (Math.abs(value) >= least) return `${numberText(value / size)} ${unit}`;
  }
  return `${fixedText(value, 0)} ns`;
}

// Round numbers from low to high, about n of them.
function ticks(low, high, n) {
  const raw = (high - low) / Math.max(n, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((k) => k * power >= raw * 0.95);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) found.push(k * step);
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return found.map((value) => ({ value, text: fixedText(value, places) }));
}

// Powers of ten from low to high; where there are fewer than two, also twice and five times those.
function logTicks(low, high) {
  const powers = [];
  for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k += 1) powers.push(10 ** k);
  const inside = (value) => value >= low && value <= high;
  const text = (value) => (value >= 1e-3 && value < 1e5 ? numberText(value, 1) : exponentText(value));
  const coarse = powers.filter(inside);
  const all = coarse.length > 1 ? coarse : powers.flatMap((p) => [p, 2 * p, 5 * p]).filter(inside);
  return all.map((value) => ({ value, text: text(value) }));
}

function exponentText(value) {
  const exponent = Math.round(Math.log10(value));
  const signs = { "-": "\u207b" };
  "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079".split("").forEach((s, k) => { signs[k] = s; });
  return `10${[...String(exponent)].map((c) => signs[c]).join("")}`;
}

// Waveforms as `packed` of view_data.py wrote them: values[hit][layer][bin].
async function unpack(text, kind, nHits, nLayers, nBins) {
  const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const n = nHits * nLayers * nBins;
  return byHitAndLayer(kind === "uint16" ? counts(bytes, n, nBins) : floats(bytes, n), nHits, nLayers, nBins);
}

function counts(bytes, n, nBins) {
  const values = new Uint16Array(n);
  for (let k = 0; k < n; k += 1) {
    const folded = bytes[k] | (bytes[n + k] << 8);
    const step = (folded >>> 1) ^ -(folded & 1);
    values[k] = (k % nBins ? values[k - 1] : 0) + step;
  }
  return values;
}

function floats(bytes, n) {
  const view = new DataView(new ArrayBuffer(4 * n));
  for (let k = 0; k < n; k += 1) {
    for (let b = 0; b < 4; b += 1) view.setUint8(4 * k + b, bytes[b * n + k]);
  }
  return Float32Array.from({ length: n }, (_, k) => view.getFloat32(4 * k, true));
}

function byHitAndLayer(values, nHits, nLayers, nBins) {
  const of = (h, l) => values.subarray((h * nLayers + l) * nBins, (h * nLayers + l + 1) * nBins);
  return Array.from({ length: nHits }, (_, h) => Array.from({ length: nLayers }, (__, l) => of(h, l)));
}
