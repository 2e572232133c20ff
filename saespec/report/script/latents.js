// The latents of a cell, and what they are active on: a context a line, each token shaded by how active the latent is.

function showLatents(section) {
  const place = section.querySelector(".latents");
  const data = dataOf(section);
  if (!place || !data.latents) return;
  const latents = numbers(data.latents);
  const { ids, columns, settings } = data.cells;
  const cells = ids.map((_, i) => i).filter((i) => i + 1 < latents.offsets.length && latents.offsets[i + 1] > latents.offsets[i]);
  const say = (cell) => columns.filter(([name]) => settings.includes(name)).map(([name, values]) => [name, shown(values[cell])])
    .filter(([, value]) => value).map(([name, value]) => `${name} ${value}`).join(", ") || ids[cell].slice(0, 8);
  const select = element("select", { ariaLabel: "Cell" }, ...cells.map((cell) => {
    const marked = data.examples?.[ids[cell]] ? " · contexts" : "";
    return element("option", { value: cell, textContent: say(cell) + marked });
  }));
  const first = cells.find((cell) => data.examples?.[ids[cell]]) ?? cells[0];
  select.value = String(first);
  const holder = element("div");
  const detail = element("div", { className: "detail" });
  place.replaceChildren(element("label", { className: "tools" }, "Cell ", select), holder, detail);
  select.addEventListener("change", () => open(Number(select.value)));
  open(first);

  function open(cell) {
    const [from, to] = [latents.offsets[cell], latents.offsets[cell + 1]];
    const shownColumns = [...latents.columns].map(([name, values]) => ({ name, values: values.subarray(from, to), text: false }));
    const examples = new Map();
    for (const [latent, ...rest] of data.examples?.[ids[cell]] ?? []) {
      if (!examples.has(latent)) examples.set(latent, []);
      examples.get(latent).push(rest);
    }
    if (examples.size) {
      const counts = Float32Array.from({ length: to - from }, (_, i) => examples.get(latentAt(i))?.length ?? 0);
      shownColumns.push({ name: "contexts", values: counts, text: false, about: "Top contexts on this page" });
    }
    const texts = new Map([...examples].map(([latent, own]) => [latent, own.map(plain).join("\n").toLowerCase()]));
    const table = grid({
      columns: shownColumns, count: to - from, one: true,
      placeholder: examples.size ? "Filter: density>0.01, or a word of the contexts" : "Filter: density>0.01 best_cosine<0.5",
      found: (term, row) => (texts.get(latentAt(row)) ?? "").includes(term.toLowerCase()),
      changed: ([row]) => detail.replaceChildren(...contexts(latentAt(row), examples.get(latentAt(row)))),
    });
    holder.replaceChildren(element("div", { className: "tools" }, ...table.tools), table.holder);
    detail.replaceChildren();
    if (examples.size) {
      const [latent] = examples.keys();
      detail.replaceChildren(...contexts(latent, examples.get(latent)));
    }

    function latentAt(row) {
      return latents.columns.get("latent")[from + row];
    }
  }

  function plain([, , , tokens]) {
    return tokens.map((token) => (Array.isArray(token) ? token[0] : token)).join("");
  }

  function contexts(latent, own) {
    const title = element("h3", { textContent: `Latent ${latent}` });
    if (!own) return data.examples ? [title, element("p", { className: "quiet", textContent: "It has no contexts here." })] : [];
    const highest = Math.max(...own.map(([activation]) => activation));
    return [title, ...own.map(([activation, context, position, tokens]) => {
      const codes = tokens.map((token) => (Array.isArray(token) ? token[1] : 0));
      const top = codes.indexOf(Math.max(...codes));
      const where = element("b", { title: `context ${context}, token ${position}`, textContent: shown(activation) });
      return element("p", { className: "example" }, where, ...tokens.map((token, i) => {
        if (!Array.isArray(token)) return readable(token);
        const mark = element("mark", { className: i === top ? "top" : "", title: String(token[1]) }, ...[readable(token[0])].flat());
        mark.style.setProperty("--a", Math.min(1, token[1] / highest).toFixed(2));
        return mark;
      }).flat());
    })];
  }

  // Line ends and tabs as signs, so that a context is a line.
  function readable(text) {
    return text.split(/(\n|\t)/).filter(Boolean).map((part) =>
      part === "\n" || part === "\t" ? element("i", { textContent: part === "\n" ? "⏎" : "⇥" }) : part);
  }
}
