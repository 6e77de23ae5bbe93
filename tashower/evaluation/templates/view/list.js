// The list of events: which of them a search leaves, and in which order.
"use strict";

const COMPARED = { e: "energy", energy: "energy", zenith: "zenith", theta: "zenith", "\u03b8": "zenith", n: "n", stations: "n", id: "id" };

// One word of a search as a function of a row: "E>30", "zenith<=45", "n>5", part of an id or words of the cuts.
function wordFilter(word) {
  const found = word.match(/^([a-z\u03b8]+)(<=|>=|<|>|=)([0-9.]+(?:e[0-9]+)?)$/i);
  const key = found && COMPARED[found[1].toLowerCase()];
  if (key) {
    const limit = Number(found[3]);
    const compare = { "<": (v) => v < limit, "<=": (v) => v <= limit, ">": (v) => v > limit, ">=": (v) => v >= limit, "=": (v) => v === limit };
    return (row) => isNumber(row[key]) && compare[found[2]](row[key]);
  }
  const text = word.toLowerCase();
  return (row) => String(row.id).includes(text) || (row.cuts || "").toLowerCase().includes(text);
}

function searched(rows, search) {
  const filters = search.split(/[\s,]+/).filter(Boolean).map(wordFilter);
  return rows.map((_, k) => k).filter((k) => filters.every((keep) => keep(rows[k])));
}

// Positions in `rows`, sorted by a column; what is not known comes last.
function sorted(rows, which, key, down) {
  const value = (k) => (key === "cuts" ? rows[k].cuts || "" : rows[k][key]);
  const missing = (v) => v === null || v === undefined || v === "";
  return [...which].sort((a, b) => {
    const [va, vb] = [value(a), value(b)];
    if (missing(va) || missing(vb)) return missing(va) - missing(vb) || a - b;
    const order = typeof va === "string" ? va.localeCompare(vb) : va - vb;
    return (down ? -order : order) || a - b;
  });
}
