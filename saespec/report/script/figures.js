// A figure is its picture until it is looked at; then Vega draws it again, to point at, zoom and filter.

const OPTIONS = { mode: "vega-lite", actions: false, renderer: "svg", loader: { load: () => Promise.reject(new Error("no network")) } };

async function embed(holder, chart) {
  const place = element("div");
  const made = await globalThis.vegaEmbed(place, chart, OPTIONS);
  holder.replaceChildren(place);
  return made;
}

function watchFigures(section) {
  const charts = dataOf(section).charts;
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      watcher.unobserve(entry.target);
      const chart = charts[entry.target.dataset.figure];
      // What cannot be drawn stays a picture.
      if (chart) embed(entry.target, chart).then(() => (entry.target.dataset.live = "yes"), () => {});
    }
  });
  section.querySelectorAll("figure[data-figure]").forEach((figure) => watcher.observe(figure));
}
