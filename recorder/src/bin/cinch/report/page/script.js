"use strict";
// The page can be read without this: it only hides rows that do not fit a filter.
(() => {
  const tools = document.getElementById("tools");
  if (!tools) return;
  const input = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const nothing = document.getElementById("nothing");
  const buttons = [...tools.querySelectorAll("button")];
  const groups = [...document.querySelectorAll("details.group")].map((element) => ({
    element,
    open: element.open,
    name: element.querySelector("h3").textContent.toLowerCase(),
    rows: [...element.querySelectorAll("tbody > tr")].map((row) => ({
      row,
      state: row.dataset.state,
      text: row.textContent.toLowerCase(),
    })),
  }));
  let state = "";
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const all = !state && !words.length;
    let fit = 0;
    let of = 0;
    for (const group of groups) {
      let here = 0;
      for (const { row, state: is, text } of group.rows) {
        const fits =
          (!state || is === state) &&
          words.every((word) => text.includes(word) || group.name.includes(word));
        row.hidden = !fits;
        if (fits) here += 1;
      }
      group.element.hidden = here === 0;
      group.element.open = all ? group.open : here > 0;
      fit += here;
      of += group.rows.length;
    }
    nothing.hidden = fit > 0;
    shown.textContent = all ? "" : `${fit} of ${of} fit`;
  };
  let later = 0;
  input.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(apply, 60);
  });
  for (const button of buttons) {
    button.addEventListener("click", () => {
      state = button.dataset.state;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      apply();
    });
  }
  // On paper nothing can be unfolded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = groups.filter(({ element }) => !element.open && !element.hidden);
    for (const { element } of folded) element.open = true;
  });
  addEventListener("afterprint", () => {
    for (const { element } of folded) element.open = false;
  });
  tools.hidden = false;
})();
