// Opens a page from disk in Firefox (WebDriver BiDi) or Chromium, without a network, takes the steps that standard input lists, and prints
// as JSON what each gave, what the page said, and what it requested: node drive.mjs firefox|chrome EXECUTABLE PAGE.html < steps.json

import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const [browserName, executablePath, page] = process.argv.slice(2);
const steps = JSON.parse(await text(process.stdin));
const firefox = browserName === "firefox";
const browser = await puppeteer.launch({
  browser: browserName,
  executablePath,
  headless: true,
  defaultViewport: null,
  protocolTimeout: 600_000,
  args: firefox ? [] : ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
  // Every connection goes to a proxy that is not there.
  extraPrefsFirefox: { "network.proxy.type": 1, "network.proxy.http": "127.0.0.1", "network.proxy.http_port": 9, "network.proxy.ssl": "127.0.0.1", "network.proxy.ssl_port": 9 },
});
const given = { results: [], said: [], requests: [] };
try {
  const tab = await browser.newPage();
  if (!firefox) await tab.setOfflineMode(true);
  await tab.setViewport({ width: 1280, height: 900 }).catch((error) => {
    if (!error.message.includes("setScreenOrientationOverride")) throw error; // Firefox 140 sets the size, but knows no orientation
  });
  tab.on("console", (message) => given.said.push(message.text()));
  tab.on("pageerror", (error) => given.said.push(String(error)));
  tab.on("request", (request) => given.requests.push(request.url()));
  const verbs = {
    open: async (hash = "") => {
      await tab.goto("about:blank");
      await tab.goto(pathToFileURL(page).href + hash, { waitUntil: "domcontentloaded" });
      await tab.waitForSelector("html[data-ready]", { timeout: 60_000 });
      await tab.waitForSelector(".network:last-child .cost[data-accuracy]", { timeout: 60_000 });
    },
    evaluate: (script, argument = null) => tab.evaluate(`(${script})(${JSON.stringify(argument)})`),
    wait: async (selector) => void (await tab.waitForSelector(selector, { timeout: 60_000 })),
    click: (selector) => tab.click(selector),
    press: (key) => tab.keyboard.press(key),
    lift: () => tab.mouse.up(),
    /** A stroke through points given as shares of an element's sides; the pen stays down. */
    draw: async (selector, points) => {
      const box = await (await tab.waitForSelector(selector)).boundingBox();
      const places = points.map(([x, y]) => [box.x + x * box.width, box.y + y * box.height]);
      await tab.mouse.move(...places[0]);
      await tab.mouse.down();
      for (const place of places.slice(1)) await tab.mouse.move(...place, { steps: 8 });
    },
    slow: (factor) => tab.emulateCPUThrottling(factor),
    picture: async (path) => void (await tab.screenshot({ path })),
  };
  for (const [verb, ...rest] of steps) given.results.push((await verbs[verb](...rest)) ?? null);
} finally {
  await browser.close();
}
console.log(JSON.stringify(given));
