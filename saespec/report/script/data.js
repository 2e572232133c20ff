// What a spec's section carries, read when it is first shown.

const read = new Map();

function dataOf(section) {
  if (!read.has(section)) {
    read.set(section, JSON.parse(section.querySelector('script[type="application/json"]').textContent));
  }
  return read.get(section);
}

// Columns of float32 by the cell's number: {offsets, columns, values} as `packed.by_cell` writes it.
function numbers(packed) {
  const columns = new Map();
  packed.columns.forEach((name, i) => {
    const bytes = Uint8Array.from(atob(packed.values[i]), (c) => c.charCodeAt(0));
    columns.set(name, new Float32Array(bytes.buffer));
  });
  return { offsets: packed.offsets, columns };
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// 0.0178 for 0.017782794, as the figures have it; the whole number where it is pointed at.
function shown(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}
