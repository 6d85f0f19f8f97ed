// An operator's day in a real browser: node story.mjs '{"console": ..., "key": ..., ...}'.
// Prints one JSON object of what was seen; tests/console/web/browser/test_browser.py judges it.
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const given = JSON.parse(process.argv[2]);
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const base = given.console;
const seen = { console: [], outside: [], axe: {}, wide: [], missing: [] };

const browser = await chromium.launch({
  executablePath: given.chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

async function somebody(name, role, options = {}) {
  // The CSP holds in tests too; only axe's own script is let past it, by the protocol.
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await observed(context);
  await page.goto(`${base}/login#key=${given.key}`);
  await page.fill("#name", name);
  await page.selectOption("#role", role);
  await page.click("button.main");
  await page.waitForURL((address) => !address.pathname.startsWith("/login"));
  return page;
}

async function observed(context) {
  const page = await context.newPage();
  page.setDefaultTimeout(given.patience);
  page.on("console", (told) => {
    if (["error", "warning"].includes(told.type()) && !told.text().includes("status of 403")) seen.console.push(told.text());
  });
  page.on("pageerror", (fault) => seen.console.push(String(fault)));
  page.on("request", (asked) => { if (!asked.url().startsWith(base)) seen.outside.push(asked.url()); });
  return page;
}

async function checked(page, name) {
  await page.evaluate(`(() => { window.module = undefined; })()`);
  const source = await (await import("node:fs/promises")).readFile(axe, "utf8");
  await page.evaluate(source);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const bad = found.violations.filter((one) => ["serious", "critical"].includes(one.impact));
  seen.axe[name] = bad.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html).join(" | ")}`);
}

const state = (page) => page.locator("#head [role=status] .state");

async function liveRun(ada) {
  // The page is never loaded again, and its timer never rings: what is seen came by the stream.
  const page = await observed(ada.context());
  await page.addInitScript("window.setInterval = () => 0");
  await page.goto(`${base}/runs`);
  await page.waitForSelector("#live.on");
  await page.evaluate(() => { window.sameDocument = true; });
  const answer = await fetch(`${given.dispatcher}/v1/runs`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(given.request),
  });
  const run = (await answer.json()).run;
  await page.waitForSelector(`#runs a[href="/runs/${run}"]`);
  seen.appeared = await page.evaluate(() => window.sameDocument === true);
  await page.click(`#runs a[href="/runs/${run}"]`);
  await page.waitForURL(`**/runs/${run}`);
  await page.evaluate(() => { window.sameDocument = true; });
  await state(page).filter({ hasText: "succeeded" }).waitFor();
  seen.succeeded = await page.evaluate(() => window.sameDocument === true);
  await page.locator("#graph .box.s-succeeded").nth(1).waitFor();
  await page.locator("#acts .why", { hasText: "The run has ended" }).waitFor();
  seen.closed = await page.evaluate(() => window.sameDocument === true);
  seen.boxes = await page.locator("#graph .box.s-succeeded").count();
  seen.bars = await page.locator("#waterfall rect:not(.part):not(.beside)").count();
  await page.close();
  // The spans of the last task come a moment after its end; nothing moves then, so the timer asks.
  await ada.goto(`${base}/runs/${run}`);
  await ada.locator("#waterfall tr", { hasText: "typed" }).locator("rect.part").first().waitFor();
  seen.traced = await ada.locator("#waterfall rect.part title").allTextContents();
  return run;
}

async function look(page, run) {
  await page.click("#waterfall tbody th a >> nth=1");
  await page.waitForURL("**/tasks/*");
  seen.task = await page.locator("main").innerText();
  await page.click("#files th a");
  await page.waitForURL("**/artifacts/*/*/*");
  seen.preview = await page.locator("table.data").innerText();
  await page.click("text=Verify now");
  seen.verified = await page.locator(".said").innerText();
  await checked(page, "artifact");
}

async function redrive(page) {
  await page.goto(`${base}/dead-letters`);
  await checked(page, "dead letters");
  await page.click("#groups th a");
  await page.waitForURL("**/groups/*");
  await page.click("text=Dry run");
  seen.dryRun = await page.locator("fieldset .said").innerText();
  await checked(page, "a group, after a dry run");
  await page.fill("#redrive-reason", "the file is there now");
  await page.click("text=Redrive the group");
  await page.waitForURL("**/redrives/*");
  await state(page).filter({ hasText: "done" }).waitFor();
  seen.redriven = await page.locator("#head p.line").innerText();
  await checked(page, "redrive");
  await page.goto(`${base}/runs/${given.broken}`);
  await state(page).filter({ hasText: "succeeded" }).waitFor();
}

async function live(page, act) {
  // What an act elsewhere does to this page, which is never loaded again.
  await page.waitForSelector("#live.on");
  await page.evaluate(() => { window.sameDocument = true; });
  await act();
  return page.evaluate(() => window.sameDocument === true);
}

async function typing(page) {
  // What is typed is not lost to a refresh: the region waits until it is sent or taken back.
  await page.goto(`${base}/approvals`);
  await page.waitForSelector("#live.on");
  await page.fill("#reason-1", "half a senten");
  await page.focus("#main");
  await page.evaluate(() => {
    document.querySelector("#waiting").append(Object.assign(document.createElement("i"), { id: "stale" }));
    delete document.querySelector("main").dataset.fresh;
  });
  await page.waitForFunction(() => document.querySelector("main").dataset.fresh);
  seen.typed = await page.inputValue("#reason-1");
  seen.stale = await page.locator("#stale").count();
  await page.fill("#reason-1", "");
  await page.focus("#main");
  await page.locator("#stale").waitFor({ state: "detached" });
}

async function approve(page, name, last) {
  await page.goto(`${base}/approvals`);
  await page.fill("#reason-1", `${name} agrees`);
  await page.click("text=Approve >> nth=-1");
  seen[`approvedBy_${name}`] = await page.locator(".said").innerText();
  if (last) {
    await page.goto(`${base}/runs/${given.held}`);
    await state(page).filter({ hasText: "succeeded" }).waitFor();
    seen.heldRan = true;
  } else {
    await page.goto(`${base}/approvals`);
    seen.twice = await page.locator("article .why").innerText();
  }
}

async function cancel(page) {
  // One that waits for approval, chosen in the list and cancelled with a reason.
  const asked = { ...given.request, pipeline: "risky", requester: "cancelled" };
  const answer = await fetch(`${given.dispatcher}/v1/runs`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(asked),
  });
  const run = (await answer.json()).run;
  await page.goto(`${base}/runs?text=${run}`);
  await page.check(`#runs input[value="${run}"]`);
  await page.fill("#bulk-reason", "asked for by mistake");
  await page.click("text=Cancel them");
  seen.cancelling = await page.locator(".said").innerText();
  await page.goto(`${base}/runs/${run}`);
  await state(page).filter({ hasText: "cancelled" }).waitFor();
  await page.goto(`${base}/audit`);
  seen.audit = await page.locator("#acts").innerText();
}

async function viewer(page) {
  await page.goto(`${base}/runs`);
  seen.why = await page.locator("#bulk .why").innerText();
  seen.disabled = await page.locator("#bulk button").isDisabled();
  const csrf = await page.locator("#bulk [name=csrf]").inputValue();
  seen.refused = await page.evaluate(async (mark) => {
    const body = new URLSearchParams({ csrf: mark, run: "x", reason: "all the same" });
    return (await fetch("/runs/cancel", { method: "POST", body })).status;
  }, csrf);
}

async function keyboard(page) {
  // From the top of the page to a run's page, with keys alone.
  await page.goto(`${base}/runs`);
  await page.keyboard.press("Tab");
  seen.skip = await page.evaluate(() => document.activeElement.textContent);
  await page.keyboard.press("Enter");
  seen.main = await page.evaluate(() => document.activeElement.id);
  for (let n = 0; n < 40; n += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const active = document.activeElement;
      return { href: active.getAttribute("href"), ring: getComputedStyle(active).outlineStyle };
    });
    if (at.href && at.href.startsWith("/runs/")) {
      seen.ring = at.ring;
      await page.keyboard.press("Enter");
      await page.waitForURL("**/runs/*-*");
      seen.byKeys = true;
      return;
    }
  }
}

async function everyPage(page, name) {
  const paths = ["/", "/runs", "/lanes", "/workers", "/dead-letters", "/approvals", "/schedules", "/artifacts", "/policies", "/audit",
    `/runs/${given.held}`, `/runs/${given.held}/tasks`, `/runs/${given.broken}/compare/${given.held}`];
  for (const path of paths) {
    await page.goto(base + path);
    await checked(page, `${path} ${name}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) seen.wide.push(`${path} ${name}: ${wide}`);
  }
}

try {
  const ada = await somebody("ada", "admin");
  const run = await liveRun(ada);
  await look(ada, run);
  await typing(ada);
  await approve(ada, "ada", false);
  const grace = await somebody("grace", "approver", { colorScheme: "dark" });
  seen.emptied = await live(ada, async () => {
    await approve(grace, "grace", true);
    await ada.waitForSelector(".calm");
  });
  await redrive(ada);
  await cancel(ada);
  await viewer(await somebody("vera", "viewer"));
  await keyboard(ada);
  await everyPage(grace, "dark");
  await everyPage(await somebody("ada", "operator", { viewport: { width: 390, height: 800 }, colorScheme: "light" }), "phone");
} catch (fault) {
  seen.fault = String(fault && fault.stack || fault);
}
console.log(JSON.stringify(seen));
await browser.close();
