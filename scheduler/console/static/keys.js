// The keys of the keyboard: g and a letter goes to a page, j and k along the rows of a list; ? shows all of them.
"use strict";
(() => {
  const marked = (key) => document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  const rows = () => [...document.querySelectorAll("#rows > tbody > tr, #rows > li")].filter((row) => row.querySelector("a"));
  const move = (by) => {
    const all = rows(), place = all.findIndex((row) => row.contains(document.activeElement));
    const row = all[place < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(place + by, 0), all.length - 1)];
    (row?.querySelector("a.name, .when a") ?? row?.querySelector("a"))?.focus();
  };
  const choose = () => document.activeElement.closest("#rows tr")?.querySelector('input[type="checkbox"]')?.click();
  const help = document.getElementById("keys");
  const keys = {
    "/": () => document.getElementById("search")?.focus(),
    "?": () => help.showModal(),
    j: () => move(1),
    k: () => move(-1),
    x: choose,
    ...Object.fromEntries(["e", "+", "-"].map((key) => [key, () => marked(key)?.click()])),
  };
  let goes = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help?.open || document.cookie.includes("scheduler-keys=off")) return;
    if (event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select")) return;
    if (event.key === "Shift") return;
    const page = goes && marked(`g ${event.key}`);
    goes = event.key === "g" && !goes;
    if (page) page.click();
    else if (Object.hasOwn(keys, event.key)) keys[event.key]();
    else return;
    event.preventDefault();
  });
})();
