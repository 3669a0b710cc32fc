// What pages do beyond forms and links: the zone of the browser, the preview of a trigger, buttons that fill a field, keys.
"use strict";
(() => {
  const page = document.documentElement;
  page.classList.add("js");

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !/(^|; )scheduler-zone=/.test(document.cookie)) {
    document.cookie = `scheduler-zone=${zone}; path=/; max-age=31536000; samesite=lax`;
  }

  const editor = document.querySelector("form.editor");
  if (editor) {
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
    show();
  }

  // A run that goes on: its page is asked for again each second while it is seen, until the run has ended.
  const follow = async () => {
    if (!document.querySelector("[data-live]")) return;
    if (document.visibilityState === "visible") {
      try {
        const answer = await fetch(location.href, { redirect: "error" });
        const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (answer.ok) document.getElementById("main").replaceWith(parsed.getElementById("main"));
      } catch { /* the console is away; what is shown stays */ }
    }
    setTimeout(follow, 1000);
  };
  setTimeout(follow, 1000);

  const search = document.getElementById("search");
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || !search) return;
    if (event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    search.focus();
  });
})();
