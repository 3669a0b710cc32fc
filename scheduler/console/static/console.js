// What pages do beyond forms and links: the zone of the browser, and live parts; keys.js and editor.js have the rest.
"use strict";
(() => {
  const page = document.documentElement;
  page.classList.add("js");

  // The zone of the browser, also after it has moved to another one; a zone that was chosen has no such mark.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const cookie = (name) => document.cookie.split("; ").find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
  const given = cookie("scheduler-zone");
  if (zone && zone !== given && (given === undefined || given === cookie("scheduler-zone-browser"))) {
    for (const name of ["zone", "zone-browser"]) document.cookie = `scheduler-${name}=${zone}; path=/; max-age=31536000; samesite=lax`;
  }

  // Live: a stream names the topics that have changed; the parts of the page that show them are asked for again.
  const sign = document.getElementById("live");
  const parts = () => [...document.querySelectorAll("[data-live]")];
  let stream, tag = "", busy = false, due, pause = 2000;
  const say = (state) => {
    if (sign) [sign.hidden, sign.dataset.state, sign.textContent] = [!parts().length, state, sign.dataset[state]];
  };
  // While nothing answers, the last page stays, greyed.
  const icon = document.getElementById("icon"), note = document.getElementById("lost");
  const lost = (isLost) => {
    page.classList.toggle("lost", isLost);
    if (!note || note.hidden !== isLost) return;
    const now = new Date(), offset = -now.getTimezoneOffset(), two = (number) => String(number).padStart(2, "0");
    const zone = `${offset < 0 ? "\u2212" : "+"}${two(Math.trunc(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
    note.textContent = note.dataset.text.replace("#", `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())} ${zone}`);
    note.hidden = !isLost;
  };
  const isRead = (part) => {
    const chosen = getSelection();
    return (!chosen.isCollapsed && part.contains(chosen.anchorNode)) || part.querySelector(":focus:is(input:not([type=checkbox]), textarea, select)");
  };
  const swap = (part, fresh) => {
    const same = (item) => (other) => ["href", "name", "value", "id"].every((name) => other.getAttribute(name) === item.getAttribute(name)) && other.form?.getAttribute("action") === item.form?.getAttribute("action");
    const find = (item) => [...fresh.querySelectorAll(item.tagName)].find(same(item));
    const focused = part.contains(document.activeElement) && document.activeElement;
    for (const item of part.querySelectorAll("details[open], input:checked")) {
      const other = find(item);
      if (other) other[item.open ? "open" : "checked"] = true;
    }
    const scrolled = [...part.querySelectorAll(".scroll")].map((item) => item.scrollLeft);
    const other = focused && find(focused);
    part.replaceWith(fresh);
    fresh.querySelectorAll(".scroll").forEach((item, place) => { item.scrollLeft = scrolled[place] || 0; });
    if (other) other.focus({ preventScroll: true });
  };
  // Rows that are new wait behind a button, so that those that are read do not move.
  const hold = (part, fresh) => {
    const ids = new Set([...part.querySelectorAll("[data-row]")].map((row) => row.dataset.row));
    const more = [...fresh.querySelectorAll("[data-row]")].filter((row) => !ids.has(row.dataset.row)).length;
    const follows = "follow" in part.dataset && scrollY + innerHeight > document.documentElement.scrollHeight - 160;
    document.getElementById("newer")?.remove();
    if (!more || follows) {
      swap(part, fresh);
      if (follows) scrollTo(0, document.documentElement.scrollHeight);
      return;
    }
    for (const row of fresh.querySelectorAll("[data-row]")) {
      const old = part.querySelector(`[data-row="${CSS.escape(row.dataset.row)}"]`);
      if (old && old.innerHTML !== row.innerHTML) old.innerHTML = row.innerHTML;
    }
    const button = document.createElement("button");
    Object.assign(button, { id: "newer", type: "button", textContent: part.dataset.newer.replace("#", more) });
    button.addEventListener("click", () => { button.remove(); swap(part, fresh); });
    part["follow" in part.dataset ? "after" : "before"](button);
  };
  const refresh = async () => {
    due = undefined;
    if (busy) return later();
    busy = true;
    try {
      const headers = { "Scheduler-Part": "1", "If-None-Match": tag };
      const answer = await fetch(location.href, { headers, cache: "no-store", redirect: "error" });
      const alarm = answer.headers.get("Scheduler-Alarm");
      if (alarm) icon.href = icon.dataset[alarm];
      lost(answer.status === 503);
      if (answer.status === 503) setTimeout(later, 5000);
      if (answer.ok) {
        tag = answer.headers.get("ETag");
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (let part of parts()) {
          let fresh;
          // A part that has gone is in a larger one: a list that is empty now.
          while (part && !(fresh = page.getElementById(part.id))) part = part.parentElement?.closest("[id]");
          if (!part) continue;
          if (isRead(part)) tag = "";
          else if (fresh.outerHTML !== part.outerHTML) (part.dataset.newer ? hold : swap)(part, fresh);
        }
        if (!parts().length) stop("on");
      }
    } catch { lost(true); }
    busy = false;
  };
  const later = () => { due ??= setTimeout(refresh, 1000); };
  // Pages of a browser share a stream, because it opens six connections to a host: one has it and tells the others.
  const others = new BroadcastChannel(`live ${new URL(page.dataset.root, location).pathname}`);
  let wait;
  const stop = (state) => {
    clearTimeout(wait);
    wait = undefined;
    if (stream) others.postMessage("gone");
    stream?.close();
    stream = undefined;
    say(state);
  };
  const isOff = () => sessionStorage.getItem("live") === "off";
  const take = (data) => {
    say("on");
    pause = 2000;
    if (page.classList.contains("lost")) later();
    const topics = data.split(" ");
    if (data === "connected" || parts().some((part) => part.dataset.live.split(" ").some((topic) => topics.includes(topic)))) later();
  };
  const losing = () => { say("away"); lost(true); };
  const open = () => {
    wait = undefined;
    stream = new EventSource(`${page.dataset.root}live`);
    others.postMessage("here");
    stream.onmessage = ({ data }) => { others.postMessage(data); take(data); };
    stream.onerror = () => {
      // The browser retries by itself, except after an answer such as 503.
      if (stream?.readyState === 2) {
        stop("away");
        wait = setTimeout(connect, pause * (1 + Math.random() / 4));
        pause = Math.min(pause * 2, 60000);
        return;
      }
      others.postMessage("lost");
      losing();
    };
  };
  const connect = () => {
    if (stream || document.hidden || !parts().length) return;
    if (isOff()) return say("off");
    others.postMessage("anybody");
    clearTimeout(wait);
    wait = setTimeout(open, 100 + 200 * Math.random());
  };
  others.onmessage = ({ data }) => {
    if (data === "anybody") return stream && others.postMessage("here");
    if (stream || wait === undefined) return;
    if (data === "gone") return connect();
    // The server sends something every 15 seconds.
    clearTimeout(wait);
    wait = setTimeout(connect, 20000);
    if (data === "lost") return losing();
    take(data === "here" && sign.dataset.state !== "on" ? "connected" : data);
  };
  if (sign) {
    document.addEventListener("visibilitychange", () => (document.hidden ? stop("on") : connect()));
    addEventListener("pagehide", () => stop("on"));
    addEventListener("pageshow", connect);
    sign.addEventListener("click", () => {
      if (sign.dataset.state !== "away") sessionStorage.setItem("live", isOff() ? "on" : "off");
      if (isOff()) return stop("off");
      stop("away");
      connect();
    });
    connect();
  }
})();
