// One spec at a time, named in the address; a section is made ready when it is first shown.

const sections = [...document.querySelectorAll("section.spec")];
const ready = new Set();

function open() {
  const wanted = sections.find((section) => `#${section.id}` === location.hash) ?? sections[0];
  for (const section of sections) section.hidden = section !== wanted;
  document.querySelectorAll("nav a").forEach((link) => {
    if (link.hash === `#${wanted.id}`) link.ariaCurrent = "page";
    else link.removeAttribute("aria-current");
  });
  scrollTo(0, 0);
  if (ready.has(wanted)) return;
  ready.add(wanted);
  watchFigures(wanted);
  showCells(wanted);
  showLatents(wanted);
}

addEventListener("hashchange", open);
open();
document.documentElement.dataset.ready = "yes";
