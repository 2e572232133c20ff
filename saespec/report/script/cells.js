// The cells of a spec; of those that are chosen their training curves, and what differs between two of them.

const MOST_CURVES = 12;
const look = JSON.parse(document.getElementById("saespec-look").textContent);
const PARTS = ["loss", "reconstruction_loss", "sparsity_loss", "l0", "mmcs"];

function showCells(section) {
  const data = dataOf(section);
  const { ids, columns, settings, shared, about } = data.cells;
  const place = section.querySelector(".cells");
  const detail = element("div", { className: "detail" });
  const all = [["cell", ids.map((id) => id.slice(0, 8))], ...columns].map(([name, values]) => ({
    name, values, text: values.some((value) => typeof value === "string"), about: (about[name] ?? []).toReversed().join(" · "),
  }));
  const curves = data.curves && numbers(data.curves);
  let live = null;
  const table = grid({
    columns: all, count: ids.length, placeholder: `Filter: latents>=512 ${settings[0] ?? "seed"}=… or text`,
    found: (term, row) => ids[row].startsWith(term) || null,
    changed: (chosen) => showChosen(detail, chosen),
  });
  const clear = element("button", { textContent: "Choose none" });
  clear.addEventListener("click", () => (table.chosen.clear(), table.update(), showChosen(detail, [])));
  const fixed = Object.entries(shared).map(([name, value]) => `${name} = ${shown(value)}`).join("\n");
  place.replaceChildren(
    element("p", { className: "quiet", textContent: "Click cells to see their training curves, two to see what differs." }),
    element("div", { className: "tools" }, ...table.tools, clear), table.holder, detail,
    element("details", {}, element("summary", { textContent: "The same in every cell" }), element("pre", { textContent: fixed })),
  );

  function showChosen(holder, chosen) {
    const parts = [];
    const drawn = element("figure");
    if (chosen.length && curves) {
      const more = chosen.length > MOST_CURVES ? `, of the first ${MOST_CURVES} that were chosen` : "";
      const title = element("h3", { textContent: `Training curves on held-out batches${more}` });
      parts.push(element("div", {}, title, drawn));
    }
    if (chosen.length === 2) parts.push(element("div", {}, element("h3", { textContent: "What differs" }), differences(chosen)));
    holder.replaceChildren(...parts);
    live?.finalize(); // ends the views that go
    live = null;
    if (!chosen.length || !curves) return;
    embed(drawn, chart(chosen.slice(0, MOST_CURVES))).then(
      (made) => (drawn.isConnected ? (live = made) : made.finalize()),
      (error) => (drawn.textContent = error.message),
    );
  }

  function label(row) {
    const said = columns.filter(([name]) => settings.includes(name) && columnDiffers(name));
    return said.map(([, values]) => shown(values[row])).filter(Boolean).join(", ") || ids[row].slice(0, 8);
  }

  function columnDiffers(name) {
    const rows = [...table.chosen];
    const values = columns.find(([one]) => one === name)[1];
    return rows.length < 2 || rows.some((row) => values[row] !== values[rows[0]]);
  }

  function differences([a, b]) {
    const rows = columns.filter(([, values]) => values[a] !== values[b]).map(([name, values]) =>
      element("tr", {}, element("th", { textContent: name, title: about[name]?.[1] ?? "" }),
        element("td", { textContent: shown(values[a]) }), element("td", { textContent: shown(values[b]) })));
    const head = element("tr", {}, element("th", {}),
      ...[a, b].map((row) => element("th", { textContent: ids[row].slice(0, 8) })));
    return element("table", { className: "differences" }, element("thead", {}, head), element("tbody", {}, ...rows));
  }

  function chart(chosen) {
    const values = [];
    for (const row of chosen) {
      const name = `${ids[row].slice(0, 4)} · ${label(row)}`;
      for (let i = curves.offsets[row]; i < curves.offsets[row + 1]; i++) {
        for (const part of PARTS) {
          const value = curves.columns.get(part)?.[i];
          if (Number.isFinite(value)) values.push({ step: curves.columns.get("step")[i], cell: name, part, value });
        }
      }
    }
    const there = PARTS.filter((part) => values.some((one) => one.part === part));
    const view = (part) => ({
      transform: [{ filter: `datum.part === '${part}'` }], width: 230, height: 170, mark: { type: "line", tooltip: true },
      encoding: {
        x: { field: "step", type: "quantitative", title: "step", axis: { tickCount: 4 } },
        y: { field: "value", type: "quantitative", title: part, scale: { zero: false } },
        color: { field: "cell", type: "nominal", title: null, sort: null, legend: { orient: "bottom", columns: 2, labelLimit: 360 } },
      },
    });
    return { data: { values }, concat: there.map(view), columns: 3, config: look };
  }
}
