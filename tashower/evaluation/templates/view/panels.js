// The panels of an event: the map, the front and the lateral distribution over their residuals, waveforms.
"use strict";

const LEFT_OUT = 2; // states above this one are of hits that no fit has: `OUT_OF_FIT` of station_fits.py
const USED = 0;
const SIZES = [1, 10, 100, 1000]; // signals of the legend [VEM]

const methodsOf = (event) => Object.keys(event.methods || {}).map(Number).sort((a, b) => a - b);
const shownMethods = (event) => methodsOf(event).filter((k) => !state.off.has(k));
const nameOf = (station) => data.array.name[station];
const diameter = (signal, scale) => (4 + 2.5 * Math.log1p(Math.max(signal, 0))) * PIXELS * scale;
const markText = (event, mark) => data.marks[mark][event.main === null ? "without_fit" : "text"];

// The hit whose mark is the nearest to the pointer, where several lie over each other.
function nearest(e, hit) {
  const away = (node) => {
    const box = node.getBoundingClientRect();
    return Math.hypot(box.x + box.width / 2 - e.clientX, box.y + box.height / 2 - e.clientY);
  };
  const there = document.elementsFromPoint(e.clientX, e.clientY).filter((n) => n.matches(".hit > .target"));
  if (!there.length) return hit;
  return Number(there.reduce((best, node) => (away(node) < away(best) ? node : best)).parentNode.dataset.hit);
}

function markNear(hit) {
  for (const node of document.querySelectorAll(".hit")) node.classList.toggle("near", Number(node.dataset.hit) === hit);
}

// Make a mark of a hit answer to pointer and, where it can be reached with it, to the keyboard.
function answer(node, event, hit, reachable = false) {
  node.classList.add("hit");
  node.dataset.hit = hit;
  node.addEventListener("pointermove", (e) => {
    const here = nearest(e, hit);
    showTip(hitLines(event, here), e);
    markNear(here);
  });
  node.addEventListener("pointerleave", () => { hideTip(); markNear(null); });
  node.addEventListener("click", (e) => selectHit(nearest(e, hit)));
  if (!reachable) return node;
  const name = nameOf(event.hits.station[hit]);
  for (const [key, value] of Object.entries({ tabindex: 0, role: "button", "aria-label": `station ${name}: show its waveforms` })) {
    node.setAttribute(key, value);
  }
  node.addEventListener("focus", () => { if (node.matches(":focus-visible")) showTip(hitLines(event, hit), node); });
  node.addEventListener("blur", hideTip);
  node.addEventListener("keydown", (e) => {
    if (e.key === "Enter" || e.key === " ") { e.preventDefault(); selectHit(hit); }
  });
  return node;
}

// What is measured of a hit.
function factLines(event, hit) {
  const { hits, main } = event;
  const signal = hits.signal[hit].map((s) => numberText(s)).join(" / ");
  const lines = [
    `station ${nameOf(hits.station[hit])}`,
    markText(event, hits.mark[hit]),
    `time ${timeText(hits.time[hit])} after the first`,
    `signal ${hits.saturated[hit] ? "> " : ""}${signal} VEM${hits.signal[hit].length > 1 ? ` (${data.layers.join(" / ")})` : ""}`,
  ];
  if (main !== null) lines.push(`${fixedText(event.methods[main].r[hit], 0)} m from the ${axisName(event)}`);
  return lines;
}

// What the tooltip says of a hit.
function hitLines(event, hit) {
  const lines = factLines(event, hit);
  for (const k of shownMethods(event)) {
    const { pull_time: time, pull_signal: size, residual } = event.methods[k];
    if (!time) continue;
    const parts = [];
    if (isNumber(time[hit])) parts.push(`t \u2212 front ${fixedText(residual[hit], 0)} ns = ${fixedText(time[hit], 1)} \u03c3`);
    if (size && isNumber(size[hit])) parts.push(`S \u2212 LDF ${fixedText(size[hit], 1)} \u03c3`);
    if (parts.length) lines.push(`${data.lines[k].name}: ${parts.join(", ")}`);
  }
  return lines;
}

// The array seen from above.
function drawMap(host, legend, event) {
  const [cx, cy, half] = event.view || wholeArray();
  const reach = half * state.zoom;
  const [unit, unitName] = reach >= 1000 ? [1000, "km"] : [1, "m"];
  const frame = panel(host, {
    x: [(cx - reach) / unit, (cx + reach) / unit], y: [(cy - reach) / unit, (cy + reach) / unit], equal: true,
    xLabel: `east [${unitName}]`, yLabel: `north [${unitName}]`, label: "array seen from above",
  });
  const { hits } = event;
  const scale = Math.min(1, frame.width / 460) / Math.max(1, Math.sqrt(state.zoom));
  const at = (station) => [data.array.x[station] / unit, data.array.y[station] / unit];
  const seen = new Set();
  drawQuiet(frame, event, at, seen);
  const order = hits.mean.map((_, k) => k).sort((a, b) => hits.mean[b] - hits.mean[a]);
  const pitch = Math.abs(frame.px(data.array.spacing / unit) - frame.px(0));
  for (const k of order) {
    const place = within(frame, ...at(hits.station[k]));
    const mark = hits.mark[k];
    const look = data.marks[mark].filled
      ? { fill: ofTime(hits.time[k] / hits.span), diameter: diameter(hits.mean[k], scale) } : {};
    const node = svg("g", {}, ...(place.arrow ? [place.arrow] : []), stationMark(mark, place.x, place.y, look));
    const near = Math.max(6, Math.min(16, 0.45 * pitch));
    node.append(svg("circle", { class: "ring", cx: place.x, cy: place.y, r: Math.max((look.diameter || 12) / 2 + 4, 9) }));
    node.append(svg("circle", { class: "target", cx: place.x, cy: place.y, r: Math.max(near, (look.diameter || 0) / 2) }));
    frame.root.append(answer(node, event, k, true));
    seen.add(mark);
  }
  const length = (1.2 * data.array.spacing + 0.4 * reach) / unit;
  for (const k of shownMethods(event)) drawCore(frame, event.methods[k].core, k, length, unit);
  drawLegend(legend, event, [...seen].sort((a, b) => a - b), scale);
}

function wholeArray() {
  const { x, y, spacing } = data.array;
  const ends = [Math.min(...x), Math.max(...x), Math.min(...y), Math.max(...y)];
  const half = Math.max(ends[1] - ends[0], ends[3] - ends[2]) / 2 + spacing;
  return [(ends[0] + ends[1]) / 2, (ends[2] + ends[3]) / 2, half];
}

// Stations without a hit.
function drawQuiet(frame, event, at, seen) {
  const marks = new Array(data.array.x.length).fill(data.marks.findIndex((mark) => mark.text === "silent"));
  event.quiet.forEach(([mark, stations]) => stations.forEach((s) => { marks[s] = mark; }));
  event.hits.station.forEach((s) => { marks[s] = null; });
  marks.forEach((mark, s) => {
    if (mark === null) return;
    const [x, y] = at(s).map((v, k) => (k ? frame.py(v) : frame.px(v)));
    if (x < frame.box.left || x > frame.box.right || y < frame.box.top || y > frame.box.bottom) return;
    const node = svg("g", {}, stationMark(mark, x, y), svg("circle", { class: "target", cx: x, cy: y, r: 7 }));
    node.addEventListener("pointerenter", (e) => showTip([`station ${nameOf(s)}`, markText(event, mark)], e));
    node.addEventListener("pointerleave", hideTip);
    frame.inside.append(node);
    seen.add(mark);
  });
}

// Core, and an arrow to it from where the shower comes.
function drawCore(frame, [x, y, nx, ny], line, length, unit) {
  const [cx, cy] = [x / unit, y / unit];
  const colour = { stroke: `var(--line-${line})`, fill: "none", "stroke-width": line === 0 ? 4 : 2 };
  const place = within(frame, cx, cy);
  if (!place) return;
  const group = svg("g", { class: "core" });
  if (!place.arrow) {
    const [fx, fy] = [frame.px(cx + length * nx), frame.py(cy + length * ny)];
    const look = lineLook(line);
    if (line === 0) look["stroke-width"] = 4;
    group.append(svg("path", { d: `M${fx},${fy}L${place.x},${place.y}`, ...look }));
    const angle = Math.atan2(place.y - fy, place.x - fx);
    const wing = (turn) => `${place.x - 11 * Math.cos(angle + turn)},${place.y - 11 * Math.sin(angle + turn)}`;
    if (Math.hypot(place.x - fx, place.y - fy) > 14) {
      group.append(svg("path", { d: `M${wing(0.4)}L${place.x},${place.y}L${wing(-0.4)}`, ...colour, "stroke-width": 1.8 }));
    }
  } else group.append(place.arrow);
  group.append(shape("+", place.x, place.y, 15, { ...colour, "stroke-width": 2.4 }));
  frame.root.append(group);
}

function drawLegend(host, event, marks, scale) {
  const entry = (draw, text, size = 22) => {
    const icon = svg("svg", { viewBox: `0 0 ${size} ${size}`, width: size, height: size, "aria-hidden": "true" });
    icon.append(draw(size / 2));
    host.append(html("span", {}, icon, text));
  };
  const { hits } = event;
  if (hits.time.length) {
    const bar = html("span", { class: "bar" });
    bar.append(html("i", { style: `background:linear-gradient(90deg,${VIRIDIS.join(",")})` }));
    host.append(html("span", { class: "times" }, "0", bar, `${timeText(hits.span)} after the first`));
  }
  for (const mark of marks) {
    entry((c) => stationMark(mark, c, c, data.marks[mark].filled && mark < 2 ? { fill: "var(--soft)", diameter: 13 } : {}), markText(event, mark));
  }
  if (methodsOf(event).length) entry((c) => shape("+", c, c, 15, { stroke: "currentColor", "stroke-width": 2.4 }), "core; arrow: axis");
  const largest = Math.max(0, ...hits.mean);
  for (const size of SIZES.filter((s, k) => hits.mean.length && (k < 2 || s < 3 * largest))) {
    const wide = diameter(size, scale);
    entry((c) => shape("o", c, c, wide, { fill: "none", stroke: "currentColor" }), `${numberText(size, 1)} VEM`, Math.max(22, Math.ceil(wide) + 3));
  }
}

// Points of the main method over the distance, with errors of those that it used.
function drawPoints(frame, event, y, sigma, used, limits) {
  const { hits, panels, main } = event;
  const { r } = event.methods[main];
  y.forEach((value, k) => {
    const apart = event.methods[main].state[k] > LEFT_OUT && r[k] > panels.far; // those are in the map
    const place = isNumber(r[k]) && isNumber(value) && !apart ? within(frame, r[k], value) : null;
    if (!place) return;
    const node = svg("g");
    const limit = limits && hits.saturated[k] && used[k];
    if (used[k] && !limit && !place.arrow && isNumber(sigma[k])) {
      const ends = [value - sigma[k], value + sigma[k]].map((v) => Math.min(Math.max(frame.py(v), frame.box.top), frame.box.bottom));
      node.append(svg("line", { class: "error", x1: place.x, x2: place.x, y1: ends[0], y2: ends[1] }));
    }
    if (limit) node.append(svg("path", { class: "error", d: `M${place.x},${place.y}v-24m-4,6l4,-6l4,6` }));
    node.append(...(place.arrow ? [place.arrow] : []), stationMark(hits.mark[k], place.x, place.y));
    node.append(svg("circle", { class: "ring", cx: place.x, cy: place.y, r: 9 }), svg("circle", { class: "target", cx: place.x, cy: place.y, r: 8 }));
    frame.root.append(answer(node, event, k));
  });
  for (const [mark, distance] of limits ? panels.silent : []) {
    if (distance < panels.far) frame.root.append(stationMark(mark, frame.px(distance), frame.box.bottom - 7));
  }
}

// Residuals of every method in its own standard deviations, side by side.
function drawResiduals(host, event, ofTimes, xLabel) {
  const { panels, main, hits } = event;
  const scale = ofTimes ? panels.pull_time : panels.pull_signal;
  const frame = panel(host, {
    x: [0, panels.far], y: [-scale, scale], height: 168, xLabel, every: 20,
    yLabel: ofTimes ? "(t \u2212 front)/\u03c3" : "(S \u2212 LDF)/\u03c3", label: "residuals",
  });
  const { left, right } = frame.box;
  frame.inside.append(svg("rect", { class: "band", x: left, width: right - left, y: frame.py(1), height: frame.py(-1) - frame.py(1) }));
  frame.inside.append(svg("line", { class: "zero", x1: left, x2: right, y1: frame.py(0), y2: frame.py(0) }));
  const key = ofTimes ? "pull_time" : "pull_signal";
  const shown = shownMethods(event).filter((k) => event.methods[k][key]);
  const step = Math.min(5, 30 / Math.max(shown.length, 1));
  shown.forEach((k, position) => {
    const method = event.methods[k];
    const used = ofTimes ? method.used_time : method.used_signal;
    const beside = step * (position - (shown.length - 1) / 2);
    method[key].forEach((pull, hit) => {
      const ofNone = method.state[hit] > LEFT_OUT;
      if (!isNumber(pull) || (ofNone && (k !== main || method.r[hit] > panels.far))) return;
      const place = within(frame, method.r[hit], pull);
      const node = svg("g", { transform: `translate(${ofNone ? 0 : beside.toFixed(1)},0)` });
      const colour = `var(--line-${k})`;
      if (used[hit] && !place.arrow) {
        node.append(svg("line", { stroke: colour, x1: place.x, x2: place.x, y1: frame.py(pull - 1), y2: frame.py(pull + 1) }));
      }
      node.append(...(place.arrow ? [place.arrow] : []));
      node.append(ofNone ? stationMark(hits.mark[hit], place.x, place.y)
        : shape(data.lines[k].marker, place.x, place.y, 7, { stroke: colour, fill: used[hit] ? colour : "var(--paper)" }));
      node.append(svg("circle", { class: "ring", cx: place.x, cy: place.y, r: 7 }));
      frame.root.append(answer(node, event, hit));
    });
  });
}

// The distances of the curves.
function distances(panels, n) {
  return Array.from({ length: n }, (_, k) => panels.begin + ((panels.far - panels.begin) * k) / (n - 1));
}

function drawFront(host, event) {
  const { panels, main } = event;
  const large = Math.max(...panels.time_limits.map(Math.abs)) > 3000;
  const unit = large ? 1000 : 1;
  const scaled = (values) => values.map((v) => (isNumber(v) ? v / unit : null));
  const frame = panel(host, {
    x: [0, panels.far], y: scaled(panels.time_limits), height: 290,
    yLabel: `time after the plane [${large ? "\u00b5s" : "ns"}]`, label: "shower front",
  });
  for (const k of shownMethods(event)) {
    const { front } = event.methods[k];
    frame.inside.append(curve(distances(panels, front.length), scaled(front), frame, lineLook(k)));
  }
  const used = event.methods[main].state.map((s) => s === USED);
  drawPoints(frame, event, scaled(panels.time), scaled(panels.time_sigma), used, false);
  drawResiduals(host, event, true, `distance to the ${axisName(event)} [m]`);
}

const axisName = (event) => (event.main === 0 && data.lines[0].name === "true" ? "true axis" : `axis of the ${data.lines[event.main].name}`);

function drawLateral(host, event) {
  const { panels, main } = event;
  const residuals = isNumber(panels.pull_signal);
  const xLabel = `distance to the ${axisName(event)} [m]`;
  const frame = panel(host, {
    x: [0, panels.far], y: panels.density_limits, log: true, height: 290 + (residuals ? 0 : 18), xLabel: residuals ? "" : xLabel,
    yLabel: "signal density [VEM/m\u00b2]", label: "lateral distribution",
  });
  for (const k of shownMethods(event)) {
    const { lateral } = event.methods[k];
    if (lateral) frame.inside.append(curve(distances(panels, lateral.length), lateral, frame, lineLook(k)));
  }
  drawPoints(frame, event, panels.density, panels.density_sigma, event.methods[main].used_signal, true);
  if (residuals) drawResiduals(host, event, false, xLabel);
}

// The waveforms of one hit: values[layer][bin] in counts.
function drawWaveform(host, event, hit, values) {
  const { hits } = event;
  const inVem = state.unit === "vem";
  const layers = values.map((layer, l) => Array.from(layer, (c) => (
    inVem ? (c - hits.pedestal[hit][l]) / hits.per_vem[hit][l] : c)));
  const after = isNumber(hits.plane[hit]) ? hits.plane[hit] : 0;
  const begin = (hits.begin[hit] - after) / 1000;
  const width = data.bin_width / 1000;
  const all = layers.flat().filter(isNumber);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const margin = 0.06 * Math.max(high - low, inVem ? 0.01 : 1);
  const span = state.pulse ? pulseSpan(layers, begin, width) : [begin, begin + width * layers[0].length];
  const since = isNumber(hits.plane[hit]) ? `plane front of the ${data.lines[event.main].name}` : "first station";
  const frame = panel(host, {
    x: span, y: [low - margin, high + 2 * margin], height: 330, xLabel: `time after the ${since} [\u00b5s]`,
    yLabel: inVem ? `signal [VEM per ${plainText(data.bin_width)} ns]` : `counts per ${plainText(data.bin_width)} ns`,
    label: `waveforms of station ${nameOf(hits.station[hit])}`,
  });
  layers.forEach((layer, l) => {
    const xs = layer.flatMap((_, b) => [begin + b * width, begin + (b + 1) * width]);
    const ys = layer.flatMap((v) => [isNumber(v) ? v : null, isNumber(v) ? v : null]);
    frame.inside.append(curve(xs, ys, frame, { class: `layer layer-${l % 4}` }));
  });
  if (isNumber(hits.edge[hit])) {
    const at = frame.px((hits.edge[hit] - after) / 1000);
    const words = at < frame.box.right - 100 ? { x: at + 5, "text-anchor": "start" } : { x: at - 5, "text-anchor": "end" };
    frame.inside.append(svg("line", { class: "edge", x1: at, x2: at, y1: frame.box.top, y2: frame.box.bottom }));
    frame.inside.append(svg("text", { class: "edge-name", y: frame.box.top + 13, ...words }, "leading edge"));
  }
  for (const k of shownMethods(event)) {
    const residual = (event.methods[k].residual || [])[hit];
    if (!isNumber(residual) || !isNumber(hits.edge[hit])) continue;
    const at = frame.px((hits.edge[hit] - residual - after) / 1000);
    frame.inside.append(svg("line", { stroke: `var(--line-${k})`, "stroke-width": 2.4, x1: at, x2: at, y1: frame.box.bottom - 12, y2: frame.box.bottom }));
  }
}

// From before the first to after the last bin above a twentieth of the largest.
function pulseSpan(layers, begin, width) {
  const sum = layers[0].map((_, b) => Math.max(...layers.map((layer) => (isNumber(layer[b]) ? layer[b] : -Infinity))));
  const finite = sum.filter(isNumber);
  const floor = [...finite].sort((a, b) => a - b)[Math.floor(finite.length / 4)];
  const least = floor + 0.05 * (Math.max(...finite) - floor);
  const above = sum.map((v, b) => (v > least ? b : -1)).filter((b) => b >= 0);
  const [first, last] = above.length ? [above[0], above[above.length - 1]] : [0, sum.length];
  const around = Math.max(5, 0.15 * (last - first));
  return [begin + Math.max(0, first - around) * width, begin + Math.min(sum.length, last + around) * width];
}
