// What a page does by itself: it asks for itself again when the ledger says that something moved, and
// puts what changed in place. Without this script every page still works; it is then as of its loading.
"use strict";

(() => {
  const main = document.querySelector("main");
  const sign = document.getElementById("live");
  const MIN_PAUSE = 400; // milliseconds between two refreshes: a person sees no more, a server does

  function say(text, on) {
    if (!sign || sign.textContent === text) return;
    sign.hidden = false;
    sign.textContent = text;
    sign.classList.toggle("on", on);
  }

  const FOCUSABLE = "a[href], button, input, summary, [tabindex]";
  const typed = (field) => field.value !== field.defaultValue;

  // A region is replaced whole, unless somebody has typed in it; what was open stays open and what
  // had the focus has it again.
  function replace(old, fresh) {
    if (old.innerHTML === fresh.innerHTML) return;
    const active = old.contains(document.activeElement) ? document.activeElement : null;
    if (active && active.matches("input:not([type=checkbox]), textarea, select")) return;
    if ([...old.querySelectorAll("input:not([type=checkbox]), textarea")].some(typed)) return;
    const href = active && active.getAttribute("href");
    const place = active ? [...old.querySelectorAll(FOCUSABLE)].indexOf(active) : -1;
    const chosen = [...old.querySelectorAll("input:checked")].map((box) => box.value);
    const open = [...old.querySelectorAll("details")].map((one) => one.open);
    old.replaceChildren(...fresh.childNodes);
    old.querySelectorAll("details").forEach((one, n) => (one.open = open[n] || false));
    old.querySelectorAll("input[type=checkbox]").forEach((box) => (box.checked = chosen.includes(box.value)));
    if (active) {
      const all = [...old.querySelectorAll(FOCUSABLE)];
      const again = href ? all.find((link) => link.getAttribute("href") === href) : all[place];
      if (again) again.focus({ preventScroll: true });
    }
  }

  let busy = false, again = false;
  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { "X-Live": "1" }, redirect: "error" });
      if (answer.status === 401) { location.reload(); return; }
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const old of document.querySelectorAll("[data-region]")) {
          const fresh = page.getElementById(old.id);
          if (fresh) replace(old, fresh);
        }
        main.dataset.fresh = String(Date.now());
      }
    } catch { /* the stream says that the console is away, and when it is back */ }
    await new Promise((done) => setTimeout(done, MIN_PAUSE));
    busy = false;
    if (again) { again = false; refresh(); }
  }

  if (main && main.dataset.live) {
    const stream = new EventSource("/live?topic=" + encodeURIComponent(main.dataset.live));
    stream.addEventListener("open", () => say("live", true));
    stream.addEventListener("error", () => say("not live, trying again", false));
    stream.addEventListener("moved", refresh);
    // Ages and depths grow without the ledger moving.
    setInterval(() => { if (!document.hidden) refresh(); }, 5000);
    addEventListener("pagehide", () => stream.close());
  }

  // `fleet up` prints an address with the key behind the #, which no browser sends anywhere.
  const key = document.getElementById("key");
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key && given) {
    key.value = given;
    history.replaceState(null, "", location.pathname + location.search);
  }
})();
