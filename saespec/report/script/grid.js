// A table of any number of rows: only those in view are in the document. Sorts by a column, filters, lets rows be chosen.

const ROW = 26;
const AROUND = 12;
const TERM = /^([\w]+)(<=|>=|!=|==|=|<|>|~)(.*)$/;

// columns: [{name, values, text, about}]; count: number of rows; one: whether a single row is chosen at a time.
function grid({ columns, count, one = false, placeholder, found = () => null, changed }) {
  const byName = new Map(columns.map((column) => [column.name, column]));
  const chosen = new Set();
  let rows = Int32Array.from({ length: count }, (_, i) => i);
  let sorted = { name: null, down: false };
  let drawn = [0, 0];
  let cursor = -1;

  const search = element("input", { type: "search", placeholder, ariaLabel: "Filter" });
  const told = element("span", { className: "quiet", role: "status" });
  const head = element("tr");
  const body = element("tbody");
  const table = element("table", {}, element("thead", {}, head), body);
  const holder = element("div", { className: "grid", tabIndex: 0 }, table);

  for (const column of columns) {
    const button = element("button", { title: column.about ?? "", textContent: column.name });
    button.addEventListener("click", () => {
      const again = sorted.name === column.name;
      sorted = { name: column.name, down: again ? !sorted.down : !column.text };
      update();
    });
    head.append(element("th", { className: column.text ? "text" : "", scope: "col" }, button));
  }
  search.addEventListener("input", update);
  holder.addEventListener("scroll", () => requestAnimationFrame(() => draw()));
  new ResizeObserver(() => draw()).observe(holder);
  body.addEventListener("click", (event) => choose(event.target.closest("tr[data-row]")));
  // The table is one stop of the Tab key; arrows move within it.
  holder.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12 }[event.key];
    if (step) {
      cursor = Math.max(0, Math.min(rows.length - 1, cursor + step));
      const top = cursor * ROW;
      if (top < holder.scrollTop) holder.scrollTop = top;
      else if (top + 3 * ROW > holder.scrollTop + holder.clientHeight) holder.scrollTop = top + 3 * ROW - holder.clientHeight;
      draw();
      mark();
    } else if ((event.key === "Enter" || event.key === " ") && event.target === holder && cursor >= 0) {
      choose(body.querySelector(`tr[data-row="${rows[cursor]}"]`));
    } else return;
    event.preventDefault();
  });

  function choose(row) {
    if (!row) return;
    const index = Number(row.dataset.row);
    if (one) {
      chosen.clear();
      chosen.add(index);
    } else if (!chosen.delete(index)) chosen.add(index);
    mark();
    changed([...chosen]);
  }

  function mark() {
    for (const row of body.querySelectorAll("tr[data-row]")) {
      row.ariaSelected = chosen.has(Number(row.dataset.row));
      const at = cursor >= 0 && Number(row.dataset.row) === rows[cursor];
      row.className = `${chosen.has(Number(row.dataset.row)) ? "chosen" : ""} ${at ? "cursor" : ""}`.trim();
    }
  }

  function compared(term) {
    const match = TERM.exec(term);
    if (!match) return (row) => found(term, row) ?? columns.some((c) => c.text && contains(c.values[row], term));
    const [, name, written, quoted] = match;
    const [sign, wanted] = [written === "==" ? "=" : written, quoted.replaceAll('"', "")];
    const column = byName.get(name);
    if (!column) throw new Error(`There is no column ${name}.`);
    if (sign === "~") return (row) => contains(column.values[row], wanted);
    const number = Number(wanted.replaceAll(",", ""));
    if (!column.text && (wanted === "" || Number.isNaN(number))) throw new Error(`${term}: give a number.`);
    if (column.text) {
      if (sign === "=") return (row) => String(column.values[row] ?? "") === wanted;
      if (sign === "!=") return (row) => String(column.values[row] ?? "") !== wanted;
      throw new Error(`${term}: ${name} is text: = != ~.`);
    }
    const equals = (v) => near(v, number) || shown(v) === wanted; // as it stands in the table, too
    const test = { "<": (v) => v < number, ">": (v) => v > number, "<=": (v) => v <= number, ">=": (v) => v >= number,
      "=": (v) => equals(v), "!=": (v) => !equals(v) }[sign];
    return (row) => typeof column.values[row] === "number" && test(column.values[row]);
  }

  function update() {
    try {
      const tests = (search.value.replace(/\s*(<=|>=|!=|==|=|<|>|~)\s*/g, "$1").match(/(?:[^\s"]|"[^"]*")+/g) ?? []).map(compared);
      const kept = [];
      for (let row = 0; row < count; row++) if (tests.every((test) => test(row))) kept.push(row);
      const values = byName.get(sorted.name)?.values;
      if (values) {
        const sign = sorted.down ? -1 : 1;
        const empty = (v) => v === null || v === undefined || Number.isNaN(v);
        kept.sort((a, b) => {
          const [p, q] = [values[a], values[b]];
          if (empty(p) || empty(q)) return empty(p) - empty(q) || a - b; // what is not there stands last
          return (p < q ? -sign : p > q ? sign : 0) || a - b;
        });
      }
      rows = Int32Array.from(kept);
      told.className = "quiet";
      told.textContent = `${rows.length.toLocaleString("en")} of ${count.toLocaleString("en")}`;
    } catch (error) {
      told.className = "wrong";
      told.textContent = error.message;
      return;
    }
    columns.forEach((column, i) => {
      head.children[i].ariaSort = sorted.name !== column.name ? "none" : sorted.down ? "descending" : "ascending";
      const mark = sorted.name !== column.name ? "" : sorted.down ? " ▾" : " ▴";
      head.children[i].firstChild.textContent = column.name + mark;
    });
    holder.scrollTop = 0;
    cursor = -1;
    holder.style.height = `${Math.min(16, rows.length + 2) * ROW}px`;
    draw(true);
  }

  // The rows in view and some around them; those that are there already stay.
  function draw(anew = false) {
    const seen = [Math.floor(holder.scrollTop / ROW), Math.ceil((holder.scrollTop + (holder.clientHeight || 500)) / ROW)];
    const inside = seen[0] >= drawn[0] && Math.min(seen[1], rows.length) <= drawn[1];
    if (inside && !anew) return;
    const first = Math.max(0, seen[0] - AROUND);
    const last = Math.min(rows.length, seen[1] + AROUND);
    drawn = [first, last];
    const made = [space(first)];
    for (let i = first; i < last; i++) {
      const row = element("tr");
      row.dataset.row = rows[i];
      for (const column of columns) {
        const value = column.values[rows[i]];
        const title = typeof value === "number" ? String(value) : "";
        row.append(element("td", { className: column.text ? "text" : "", title, textContent: shown(value) }));
      }
      made.push(row);
    }
    made.push(space(rows.length - last));
    body.replaceChildren(...made);
    mark();
  }

  function space(count) {
    const cell = element("td", { colSpan: columns.length });
    cell.style.height = `${count * ROW}px`;
    return element("tr", { className: "space", ariaHidden: "true" }, cell);
  }

  update();
  return { tools: [search, told], holder, search: (text) => ((search.value = text), update()), update, chosen };
}

const contains = (value, text) => String(value ?? "").toLowerCase().includes(text.toLowerCase());
const near = (value, number) => Math.abs(value - number) <= 1e-6 * Math.max(Math.abs(value), Math.abs(number));
