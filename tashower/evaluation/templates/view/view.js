// The page: its state, and what changes it. The state that a link keeps is in the fragment of the address.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const state = { event: 0, hit: null, off: new Set(), unit: "vem", zoom: 1, pulse: false, search: "", sort: "position", down: false };
const part = (id) => document.getElementById(id);
const unpacked = new Map(); // event -> waveforms
let order = [];

function clear(id) {
  part(id).replaceChildren();
  return part(id);
}

// ---- the tooltip

function showTip(lines, from) {
  const tip = clear("tip");
  lines.forEach((line, k) => tip.append(html(k ? "span" : "b", {}, line)));
  tip.hidden = false;
  const box = from.getBoundingClientRect ? from.getBoundingClientRect() : null;
  const [x, y] = box ? [box.right, box.bottom] : [from.clientX, from.clientY];
  const { offsetWidth: w, offsetHeight: h } = tip;
  tip.style.left = `${Math.max(4, Math.min(x + 14, document.documentElement.clientWidth - w - 4))}px`;
  tip.style.top = `${y + 14 + h > window.innerHeight ? Math.max(4, y - h - 12) : y + 14}px`;
}

function hideTip() {
  part("tip").hidden = true;
}

// ---- which event, which station

const repeated = new Set();
{
  const seen = new Set();
  for (const { id } of data.rows) (seen.has(id) ? repeated : seen).add(id);
}

function fragmentOf(event, hit) {
  const row = data.rows[event];
  const words = new URLSearchParams(repeated.has(row.id) ? { position: row.position } : { id: row.id });
  if (hit !== null && hit !== firstHit(event)) words.set("station", nameOf(data.events[event].hits.station[hit]));
  return `#${words}`;
}

function fromFragment() {
  const words = new URLSearchParams(location.hash.slice(1));
  const find = (key) => (words.has(key) ? data.rows.findIndex((row) => String(row[key]) === words.get(key)) : -1);
  const event = Math.max(find("position"), words.has("position") ? -1 : find("id"), 0);
  const named = data.events[event].hits.station.findIndex((s) => nameOf(s) === words.get("station"));
  return { event, hit: named >= 0 ? named : firstHit(event) };
}

// The hit that is shown first: that with the most signal among those in the fit.
function firstHit(event) {
  const { mean, used } = data.events[event].hits;
  const all = mean.map((_, k) => k);
  const inFit = all.filter((k) => used[k]);
  return (inFit.length ? inFit : all).reduce((best, k) => (best === null || mean[k] > mean[best] ? k : best), null);
}

function remember() {
  try { history.replaceState(null, "", fragmentOf(state.event, state.hit)); } catch { /* a page in a frame has no address of its own */ }
}

function selectEvent(event) {
  hideTip();
  state.event = event;
  state.hit = firstHit(event);
  state.zoom = 1;
  remember();
  drawEvent();
}

function selectHit(hit) {
  state.hit = hit;
  remember();
  markHit();
  drawStation();
}

// To the neighbour in the list as it is searched and sorted.
function step(by) {
  if (!order.length) return;
  const at = order.indexOf(state.event);
  selectEvent(at < 0 ? order[0] : order[(at + by + order.length) % order.length]);
}

// To the next station farther from, or nearer to, the axis.
function stepHit(by) {
  const { hits, main } = data.events[state.event];
  const key = main === null ? hits.time : data.events[state.event].methods[main].r;
  const sortedHits = key.map((_, k) => k).sort((a, b) => key[a] - key[b]);
  if (sortedHits.length) selectHit(sortedHits[(sortedHits.indexOf(state.hit) + by + key.length) % key.length]);
}

// ---- the list

function drawList() {
  order = sorted(data.rows, searched(data.rows, state.search), state.sort, state.down);
  const list = clear("list");
  for (const k of order) {
    const row = data.rows[k];
    const cuts = row.passes === undefined ? "" : row.passes ? "\u2713" : "\u2717";
    const button = html(
      "button", { type: "button", title: row.cuts || "" },
      html("span", {}, String(row.id)), html("span", {}, row.energy_text || NOTHING),
      html("span", {}, isNumber(row.zenith) ? `${fixedText(row.zenith, 1)}\u00b0` : NOTHING),
      html("span", {}, String(row.n)), html("span", { class: row.passes ? "good" : "bad" }, cuts),
    );
    button.dataset.event = k;
    button.addEventListener("click", () => { selectEvent(k); part("chooser").open = part("chooser").open && wide(); });
    list.append(html("li", {}, button));
  }
  const all = `${data.rows.length} event${data.rows.length === 1 ? "" : "s"}`;
  part("found").textContent = order.length === data.rows.length ? all : `${order.length} of ${all}`;
  markEvent();
}

const wide = () => window.matchMedia("(min-width: 62rem)").matches;

function markEvent() {
  for (const button of document.querySelectorAll("#list button")) {
    const current = Number(button.dataset.event) === state.event;
    button.toggleAttribute("aria-current", current);
    if (current && wide()) button.scrollIntoView({ block: "nearest" });
  }
}

function markHit() {
  for (const node of document.querySelectorAll(".hit")) node.classList.toggle("selected", Number(node.dataset.hit) === state.hit);
}

// ---- the event

function drawEvent() {
  const event = data.events[state.event];
  const row = data.rows[state.event];
  document.title = `event id ${row.id}`;
  part("title").textContent = `event id ${row.id}`;
  part("place").textContent = `${event.place}: ${row.n} station${row.n === 1 ? "" : "s"} with a hit`;
  part("cuts").textContent = row.cuts ? `quality cuts of the ${data.listed}: ${row.cuts}` : "";
  part("cuts").className = row.passes ? "good" : "bad";
  drawMethods(event);
  drawTable(event);
  drawHits(event);
  const notes = clear("notes");
  for (const note of event.notes) notes.append(html("li", {}, note));
  part("notes").hidden = !event.notes.length;
  drawPanels();
  markEvent();
}

function drawMethods(event) {
  const host = clear("methods");
  for (const k of methodsOf(event)) {
    const box = html("input", { type: "checkbox" });
    box.checked = !state.off.has(k);
    box.addEventListener("change", () => {
      if (box.checked) state.off.delete(k); else state.off.add(k);
      drawPanels();
    });
    const icon = svg("svg", { viewBox: "0 0 34 14", width: 34, height: 14, "aria-hidden": "true" }, svg("path", { d: "M0,7H34", ...lineLook(k) }));
    if (k) icon.append(shape(data.lines[k].marker, 17, 7, 8, { fill: `var(--line-${k})`, stroke: `var(--line-${k})` }));
    const note = (event.methods[k].note || "") ? "*" : "";
    host.append(html("label", note ? { title: event.methods[k].note } : {}, box, icon, `${data.lines[k].name}${note}`));
  }
  part("switches").hidden = !host.children.length;
}

function drawPanels() {
  const event = data.events[state.event];
  hideTip();
  drawMap(clear("map"), clear("legend"), event);
  part("whose").textContent = event.main === null ? "before any fit"
    : event.known ? `marked as the ${data.lines[event.main].name} used them` : "marked before any fit rejects some";
  for (const [id, draw] of [["front", drawFront], ["lateral", drawLateral]]) {
    part(`${id}-panel`).hidden = !event.panels;
    const host = clear(id);
    if (event.panels) draw(host, event);
  }
  part("lateral-title").textContent = event.panels && isNumber(event.panels.pull_signal) ? "lateral distribution" : "signals";
  markHit();
  drawStation();
}

async function waveformsOf(k) {
  const { hits } = data.events[k];
  if (!hits.waveform) return null;
  if (!unpacked.has(k)) {
    unpacked.set(k, await unpack(hits.waveform, data.waveforms.kind, hits.station.length, data.layers.length, data.waveforms.bins));
  }
  return unpacked.get(k);
}

async function drawStation() {
  const [k, hit] = [state.event, state.hit];
  const event = data.events[k];
  const { hits } = event;
  part("station-panel").hidden = hit === null;
  if (hit === null) return;
  part("station-title").textContent = `station ${nameOf(hits.station[hit])}`;
  const facts = clear("facts");
  for (const line of factLines(event, hit).slice(1)) facts.append(html("li", {}, line));
  drawPulls(event, hit);
  part("waveform-switches").hidden = !hits.waveform;
  let values = null;
  let trouble = "the file holds no waveforms";
  try { values = await waveformsOf(k); } catch { trouble = "this browser cannot unpack waveforms: it is too old"; }
  if (state.event !== k || state.hit !== hit) return; // another one was chosen in the meantime
  const host = clear("waveform");
  if (!values) { host.append(html("p", { class: "nothing" }, trouble)); return; }
  drawWaveform(host, event, hit, values[hit]);
  const key = clear("layers");
  if (data.layers.length > 1) {
    data.layers.forEach((name, l) => {
      const icon = svg("svg", { viewBox: "0 0 30 12", width: 30, height: 12, "aria-hidden": "true" }, svg("path", { d: "M0,6H30", class: `layer layer-${l % 4}` }));
      key.append(html("span", {}, icon, name));
    });
  }
  if (shownMethods(event).some((m) => event.methods[m].residual)) {
    const icon = svg("svg", { viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" }, svg("path", { d: "M6,0V12", stroke: "currentColor", "stroke-width": 2.4 }));
    key.append(html("span", {}, icon, "below: where each method expects the edge"));
  }
}

// How far a station is from what the methods expect.
function drawPulls(event, hit) {
  const rows = shownMethods(event).filter((k) => event.methods[k].pull_time);
  const sized = rows.some((k) => event.methods[k].pull_signal);
  const heads = ["", "t \u2212 front [ns]", "[\u03c3]", ...(sized ? ["S \u2212 LDF [\u03c3]"] : [])];
  const body = rows.map((k) => {
    const { residual, pull_time: time, pull_signal: size } = event.methods[k];
    const cells = [fixedText(residual[hit], 0), fixedText(time[hit], 1), ...(sized ? [fixedText(size ? size[hit] : null, 1)] : [])];
    return html("tr", {}, html("th", { scope: "row" }, data.lines[k].name), ...cells.map((cell) => html("td", {}, cell)));
  });
  const table = clear("pulls");
  if (rows.length) table.append(html("thead", {}, html("tr", {}, ...heads.map((h) => html("th", { scope: "col" }, h)))), html("tbody", {}, ...body));
}

function drawTable(event) {
  const { columns, rows } = event.table;
  part("table-panel").hidden = !rows.length;
  const head = html("tr", {}, html("td"), ...columns.map((k) => html("th", { scope: "col" }, data.lines[k].name)));
  const body = rows.map(([name, ...cells]) => html("tr", {}, html("th", { scope: "row" }, name), ...cells.map((cell) => html("td", cell.length > 34 ? { class: "text" } : {}, cell))));
  clear("table").append(html("thead", {}, head), html("tbody", {}, ...body));
}

function drawHits(event) {
  const { hits, main } = event;
  const method = main === null ? null : event.methods[main];
  const sized = method && method.pull_signal;
  const heads = ["station", "", "time", ...data.layers.map((name) => (data.layers.length > 1 ? `${name} [VEM]` : "signal [VEM]"))];
  if (method) heads.push("distance [m]", "(t \u2212 front)/\u03c3");
  if (sized) heads.push("(S \u2212 LDF)/\u03c3");
  const order_ = hits.station.map((_, k) => k).sort((a, b) => hits.time[a] - hits.time[b]);
  const body = order_.map((k) => {
    const button = html("button", { type: "button" }, nameOf(hits.station[k]));
    button.addEventListener("click", () => { selectHit(k); part("station-panel").scrollIntoView({ block: "nearest" }); });
    const cells = [markText(event, hits.mark[k]), timeText(hits.time[k]), ...hits.signal[k].map((s) => `${hits.saturated[k] ? "> " : ""}${numberText(s)}`)];
    if (method) cells.push(fixedText(method.r[k], 0), fixedText(method.pull_time[k], 1));
    if (sized) cells.push(fixedText(method.pull_signal[k], 1));
    return html("tr", {}, html("th", { scope: "row" }, button), ...cells.map((cell) => html("td", {}, cell)));
  });
  part("hits-panel").hidden = !body.length;
  clear("hits").append(html("thead", {}, html("tr", {}, ...heads.map((h) => html("th", { scope: "col" }, h)))), html("tbody", {}, ...body));
}

// ---- what a reader does

function listen() {
  part("previous").addEventListener("click", () => step(-1));
  part("next").addEventListener("click", () => step(1));
  part("nearer").addEventListener("click", () => stepHit(-1));
  part("farther").addEventListener("click", () => stepHit(1));
  part("search").addEventListener("input", (e) => { state.search = e.target.value; drawList(); });
  part("sort").addEventListener("change", (e) => { state.sort = e.target.value; drawList(); });
  part("down").addEventListener("change", (e) => { state.down = e.target.checked; drawList(); });
  part("unit").addEventListener("change", (e) => { state.unit = e.target.value; drawStation(); });
  part("pulse").addEventListener("change", (e) => { state.pulse = e.target.checked; drawStation(); });
  for (const [id, factor] of [["closer", 1 / 1.5], ["wider", 1.5]]) {
    part(id).addEventListener("click", () => { state.zoom = Math.min(Math.max(state.zoom * factor, 0.2), 50); drawPanels(); });
  }
  window.addEventListener("hashchange", () => { Object.assign(state, fromFragment(), { zoom: 1 }); drawEvent(); });
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") hideTip();
    if (e.altKey || e.ctrlKey || e.metaKey || e.shiftKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
    if (e.key === "ArrowLeft" || e.key === "ArrowRight") { e.preventDefault(); step(e.key === "ArrowLeft" ? -1 : 1); }
  });
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return; // a phone hides its address bar
    width = window.innerWidth;
    drawPanels();
  });
}

part("chooser").open = wide();
Object.assign(state, fromFragment());
listen();
drawList();
drawEvent();
