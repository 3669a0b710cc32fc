// The editor: the fields of the chosen trigger, and its preview while one types.
"use strict";
(() => {
  const editor = document.querySelector("form.editor");
  const trigger = editor.querySelector("[data-preview]");
  const fields = editor.querySelectorAll("[data-kinds]");
  const show = () => {
    const chosen = editor.querySelector('[name="trigger"]:checked');
    for (const field of fields) field.hidden = chosen && !field.dataset.kinds.split(" ").includes(chosen.value);
  };
  let timer, asked = 0;
  const look = async () => {
    const mine = ++asked;
    const query = new URLSearchParams(new FormData(editor));
    for (const name of ["params", "description", "was"]) query.delete(name);
    try {
      const answer = await fetch(`${trigger.dataset.preview}?${query}`, { redirect: "error" });
      if (!answer.ok || mine !== asked) return;
      const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.getElementById("preview").replaceWith(parsed.getElementById("preview"));
    } catch { /* the console is away; what is shown stays */ }
  };
  editor.addEventListener("input", () => { show(); clearTimeout(timer); timer = setTimeout(look, 150); });
  editor.addEventListener("click", (event) => {
    const use = event.target.closest("[data-use]");
    if (!use) return;
    const field = document.getElementById(use.dataset.for);
    field.value = use.dataset.use;
    field.focus();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  // Tags are a list: each name is offered after those that are typed already.
  const tags = document.getElementById("field-tags"), names = [...(tags?.list?.options ?? [])].map((option) => option.value);
  tags?.addEventListener("input", () => {
    const before = tags.value.slice(0, tags.value.lastIndexOf(",") + 1);
    [...(tags.list?.options ?? [])].forEach((option, place) => { option.value = before + names[place]; });
  });
  show();
})();
