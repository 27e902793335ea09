// Controls Chromium for the Go tests: reads one request a line from stdin, writes one
// answer a line to stdout, in order. Closes the browser and ends when stdin ends.
//
//   node browser.mjs <path of the browser> <folder for screenshots>
import { createInterface } from "node:readline";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [executablePath, folder] = process.argv.slice(2);
const timeout = 10_000; // milliseconds that a step may take

const browser = await chromium.launch({
  executablePath,
  chromiumSandbox: false,
  args: ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const pages = new Map();
const problems = []; // faults that no page may have

const operations = {
  async open({ page: name, url, width, height, dark }) {
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: dark ? "dark" : "light",
      reducedMotion: "reduce",
      locale: "en-GB",
      permissions: ["clipboard-read", "clipboard-write"],
    });
    const page = await context.newPage();
    page.setDefaultTimeout(timeout);
    page.on("pageerror", (error) => problems.push(`${name}: ${error.message}`));
    page.on("dialog", (dialog) => problems.push(`${name}: dialog ${dialog.message()}`) && dialog.dismiss());
    page.on("console", (message) => {
      // Some tests stop the server.
      const expected = /WebSocket connection to .* failed/.test(message.text());
      if (["error", "warning"].includes(message.type()) && !expected) problems.push(`${name}: ${message.text()}`);
    });
    pages.set(name, page);
    await page.goto(url);
  },
  fill: ({ page, selector, text }) => page.locator(selector).fill(text),
  click: ({ page, selector }) => page.locator(selector).click(),
  press: ({ page, selector, text }) => page.locator(selector).press(text),
  see: ({ page, selector, text }) => page.locator(selector).filter({ hasText: text }).first().waitFor(),
  gone: ({ page, selector, text }) => page.locator(selector).filter({ hasText: text }).waitFor({ state: "hidden" }),
  text: ({ page, selector }) => page.locator(selector).innerText(),
  count: async ({ page, selector }) => String(await page.locator(selector).count()),
  clipboard: ({ page }) => page.evaluate(() => navigator.clipboard.readText()),
  overflow: ({ page }) => page.evaluate(() => String(document.documentElement.scrollWidth - innerWidth)),
  shot: ({ page, text }) => page.screenshot({ path: join(folder, `${text}.png`) }).then(() => ""),
  close: ({ page }) => page.context().close(),
  problems: async () => problems.join("\n"),
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const page = request.op === "open" ? request.page : pages.get(request.page);
  let answer;
  try {
    answer = { value: (await operations[request.op]({ ...request, page })) ?? "" };
  } catch (error) {
    answer = { error: error.message };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
await browser.close();
