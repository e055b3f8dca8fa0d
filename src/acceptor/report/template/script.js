"use strict";
// The page is complete without this script, which adds the theme button and the filters and sorting of sentences. Text
// from the data never becomes markup here; rows are only hidden, shown and moved.
(() => {
  const page = document.documentElement;
  const button = document.querySelector("#theme");
  const dark = () => page.dataset.theme
    ? page.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const updateButton = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `${button.textContent} colours`); };
  try { if (["light", "dark"].includes(localStorage.acceptorTheme)) page.dataset.theme = localStorage.acceptorTheme; } catch { /* no storage */ }
  button.hidden = false;
  button.addEventListener("click", () => {
    page.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.acceptorTheme = page.dataset.theme; } catch { /* no storage */ }
    updateButton();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", updateButton);
  updateButton();

  const STEP = 25;
  for (const place of document.querySelectorAll(".browse")) {
    const body = place.querySelector("tbody");
    const filters = place.querySelector(".filters");
    const count = place.querySelector(".count");
    const more = place.querySelector(".more");
    const rows = [...body.rows].map((row, at) => ({ row, at, text: row.querySelector(".sentence").textContent.toLowerCase() }));
    const heads = [...place.querySelectorAll("th[data-key]")];
    const order = filters.elements.sort;
    let limit = STEP;
    const show = () => {
      const wanted = [...filters.querySelectorAll("select")].filter((one) => one !== order && one.value !== "");
      const words = filters.querySelector("input").value.trim().toLowerCase();
      let found = 0;
      for (const { row, text } of rows) {
        const fits = wanted.every((one) => row.dataset[one.name] === one.value) && text.includes(words);
        found += fits;
        row.hidden = !fits || found > limit;
      }
      count.textContent = `${Math.min(found, limit).toLocaleString("en")} of ${found.toLocaleString("en")} matching sentences shown`;
      more.hidden = found <= limit;
    };
    const sort = () => {
      const down = order.value.startsWith("-");
      const key = order.value.replace("-", "");
      for (const head of heads) head.ariaSort = head.dataset.key !== key ? null : down ? "descending" : "ascending";
      const value = ({ row, at }) => (key ? Number(row.dataset[key]) : at);
      rows.sort((a, b) => (value(a) - value(b)) * (down ? -1 : 1));
      body.append(...rows.map(({ row }) => row));
    };
    filters.hidden = false;
    order.addEventListener("input", sort);
    filters.addEventListener("input", () => { limit = STEP; show(); });
    filters.addEventListener("submit", (event) => event.preventDefault());
    more.addEventListener("click", () => { limit += 4 * STEP; show(); });
    for (const head of heads) {
      head.querySelector("button").addEventListener("click", () => {
        order.value = head.ariaSort === "descending" ? head.dataset.key : `-${head.dataset.key}`;
        sort();
        show();
      });
    }
    show();
  }
})();
