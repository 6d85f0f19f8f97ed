// Takes the pictures of the console: node console.mjs '{"console": ..., "key": ..., "pages": [...]}'.
import { chromium } from "playwright-core";

const given = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: given.chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
for (const [name, path, scheme, width, height] of given.pages) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  const page = await context.newPage();
  await page.goto(`${given.console}/login#key=${given.key}`);
  await page.fill("#name", "ada");
  await page.selectOption("#role", "operator");
  await page.click("button.main");
  await page.waitForURL((address) => !address.pathname.startsWith("/login"));
  await page.goto(given.console + path);
  await page.waitForSelector("#live.on, main:not([data-live])");
  await page.screenshot({ path: `${given.folder}/${name}.png` });
  await context.close();
}
await browser.close();
