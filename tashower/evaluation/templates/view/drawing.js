// What panels are drawn of: elements of SVG, marks, axes. All text comes in as text, never as markup.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const PIXELS = 4 / 3; // in a point

function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function html(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// Corners of a regular polygon or star of unit radius; the first one is at the top.
function corners(n, inner = 1, turn = 0) {
  const m = inner === 1 ? n : 2 * n;
  return Array.from({ length: m }, (_, k) => {
    const angle = (2 * Math.PI * k) / m - Math.PI / 2 + turn;
    const radius = k % 2 && inner !== 1 ? inner : 1;
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
}

const CROSS = [[-1, -3], [1, -3], [1, -1], [3, -1], [3, 1], [1, 1], [1, 3], [-1, 3], [-1, 1], [-3, 1], [-3, -1], [-1, -1]]
  .map(([x, y]) => [x / 3, y / 3]);
const turned = (points, angle) => points.map(([x, y]) => [
  x * Math.cos(angle) - y * Math.sin(angle), x * Math.sin(angle) + y * Math.cos(angle),
]);
const SHAPES = {
  s: [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
  D: corners(4, 1).map(([x, y]) => [1.2 * x, 1.2 * y]),
  d: corners(4, 1).map(([x, y]) => [0.8 * x, 1.2 * y]),
  "^": corners(3).map(([x, y]) => [1.15 * x, 1.15 * y + 0.15]),
  v: corners(3, 1, Math.PI).map(([x, y]) => [1.15 * x, 1.15 * y - 0.15]),
  "<": corners(3, 1, -Math.PI / 2).map(([x, y]) => [1.15 * x, 1.15 * y]),
  ">": corners(3, 1, Math.PI / 2).map(([x, y]) => [1.15 * x, 1.15 * y]),
  p: corners(5),
  h: corners(6),
  "*": corners(5, 0.45),
  P: CROSS,
  X: turned(CROSS, Math.PI / 4),
};

// A mark around (x, y) with a diameter [px]; crosses are lines, all others outlines.
function shape(marker, x, y, diameter, attributes = {}) {
  const r = diameter / 2;
  if (marker === "o" || marker === ".") return svg("circle", { cx: x, cy: y, r: marker === "." ? 0.75 * r : r, ...attributes });
  const at = (dx, dy) => `${(x + r * dx).toFixed(2)},${(y + r * dy).toFixed(2)}`;
  if (marker === "x") return svg("path", { d: `M${at(-1, -1)}L${at(1, 1)}M${at(-1, 1)}L${at(1, -1)}`, ...attributes });
  if (marker === "+") return svg("path", { d: `M${at(-1, 0)}L${at(1, 0)}M${at(0, -1)}L${at(0, 1)}`, ...attributes });
  return svg("path", { d: `M${SHAPES[marker].map(([dx, dy]) => at(dx, dy)).join("L")}Z`, ...attributes });
}

// The mark of a station, as `Mark` of station_marks.py has it.
function stationMark(index, x, y, { fill = null, diameter = null } = {}) {
  const mark = data.marks[index];
  const colour = `var(--mark-${index})`;
  const look = fill ? { fill, stroke: "var(--edge)", "stroke-width": 0.9 }
    : { fill: mark.filled ? colour : "none", stroke: colour, "stroke-width": mark.width * PIXELS };
  return shape(mark.marker, x, y, diameter || mark.size * PIXELS, look);
}

function lineLook(index) {
  const line = data.lines[index];
  const wide = index === 0 ? 6 : 2.2; // the true shower lies under the others
  const look = { fill: "none", stroke: `var(--line-${index})`, "stroke-width": wide };
  if (index === 0) look["stroke-opacity"] = 0.55;
  if (line.dashes.length) look["stroke-dasharray"] = line.dashes.map((d) => (d * 2).toFixed(1)).join(" ");
  return look;
}

// An empty panel with axes; gives it with `px` and `py`, from values to pixels.
function panel(host, { x, y, height, xLabel, yLabel, log = false, label, left = host.clientWidth < 400 ? 48 : 58, equal = false, every = 45 }) {
  const width = Math.max(host.clientWidth, 200);
  const tall = equal ? width - left - 12 + 46 : height;
  const box = { left, right: width - 12, top: 10, bottom: tall - (xLabel ? 42 : 24) };
  const scale = log ? Math.log10 : (v) => v;
  const px = (v) => box.left + ((v - x[0]) / (x[1] - x[0])) * (box.right - box.left);
  const py = (v) => box.bottom - ((scale(v) - scale(y[0])) / (scale(y[1]) - scale(y[0]))) * (box.bottom - box.top);
  const root = svg("svg", { viewBox: `0 0 ${width} ${tall}`, role: "group", "aria-label": label });
  const grid = svg("g", { class: "axes" });
  const columns = Math.min(8, (box.right - box.left) / 46);
  for (const { value, text } of ticks(x[0], x[1], columns)) {
    grid.append(svg("line", { class: "grid", x1: px(value), x2: px(value), y1: box.top, y2: box.bottom }));
    grid.append(svg("text", { x: px(value), y: box.bottom + 16, "text-anchor": "middle" }, text));
  }
  for (const { value, text } of log ? logTicks(y[0], y[1]) : ticks(y[0], y[1], equal ? columns : (box.bottom - box.top) / every)) {
    grid.append(svg("line", { class: "grid", x1: box.left, x2: box.right, y1: py(value), y2: py(value) }));
    grid.append(svg("text", { x: box.left - 6, y: py(value) + 4, "text-anchor": "end" }, text));
  }
  grid.append(svg("rect", { class: "frame", x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top }));
  if (xLabel) grid.append(svg("text", { class: "label", x: (box.left + box.right) / 2, y: tall - 6, "text-anchor": "middle", style: fits(xLabel, width) }, xLabel));
  const middle = (box.top + box.bottom) / 2;
  grid.append(svg("text", { class: "label", x: 11, y: middle, "text-anchor": "middle", transform: `rotate(-90 11 ${middle})` }, yLabel));
  clips += 1;
  const clip = svg("clipPath", { id: `clip-${clips}` }, svg("rect", {
    x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top,
  }));
  const inside = svg("g", { "clip-path": `url(#clip-${clips})` });
  root.append(clip, grid, inside);
  host.append(root);
  return { root, inside, box, px, py, width };
}

let clips = 0;

// A size of letters with which a text is not wider than the panel.
const fits = (text, width) => `font-size:${Math.min(13, width / (0.52 * text.length)).toFixed(1)}px`;

// A curve through points; what is not known is a gap.
function curve(xs, ys, frame, attributes) {
  let path = "";
  let pen = "M";
  xs.forEach((x, k) => {
    if (!isNumber(ys[k])) { pen = "M"; return; }
    path += `${pen}${frame.px(x).toFixed(1)},${frame.py(ys[k]).toFixed(1)}`;
    pen = "L";
  });
  return svg("path", { d: path, ...attributes });
}

// Where a point is drawn: beyond the axes at the margin, with an arrow to where it is.
function within(frame, x, y, inset = 9) {
  const [at, up] = [frame.px(x), frame.py(y)];
  if (!isNumber(at) || !isNumber(up)) return null;
  const { left, right, top, bottom } = frame.box;
  const outside = at < left || at > right || up < top || up > bottom;
  if (!outside) return { x: at, y: up, arrow: null };
  const cx = Math.min(Math.max(at, left + inset), right - inset);
  const cy = Math.min(Math.max(up, top + inset), bottom - inset);
  const angle = Math.atan2(Math.sign(Math.trunc(up - cy)), Math.sign(Math.trunc(at - cx)));
  const tip = (d, turn) => `${(cx + d * Math.cos(angle + turn)).toFixed(1)},${(cy + d * Math.sin(angle + turn)).toFixed(1)}`;
  return { x: cx, y: cy, arrow: svg("path", { class: "beyond", d: `M${tip(inset + 2, 0)}L${tip(inset - 2, 0.45)}L${tip(inset - 2, -0.45)}Z` }) };
}

// viridis (Smith, van der Walt and Firing 2015, CC0) at eighths, linear between.
const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];

function ofTime(share) {
  const at = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const k = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const channel = (colour, c) => parseInt(colour.slice(1 + 2 * c, 3 + 2 * c), 16);
  const mixed = [0, 1, 2].map((c) => Math.round(channel(VIRIDIS[k], c) + (at - k) * (channel(VIRIDIS[k + 1], c) - channel(VIRIDIS[k], c))));
  return `rgb(${mixed.join(",")})`;
}
