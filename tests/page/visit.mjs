// Visits the page as a person does, in headless Chromium, and prints what was seen as one line of JSON:
// node visit.mjs URL WIDTH HEIGHT WORDS FACET PICTURE
//
// Types the words, takes the first value of the facet, and goes back to all of its values; at each step it looks whether anything
// is wider than the screen. The last screen is kept as PICTURE.
import { mkdirSync } from "node:fs";

const [url, width, height, words, facet, picture] = process.argv.slice(2);

// The package unpacks the browser below TMPDIR. Said to run where nothing is installed, it brings its libraries along, too.
mkdirSync(process.env.TMPDIR, { recursive: true });
process.env.AWS_LAMBDA_JS_RUNTIME = "nodejs20.x";
const { default: chromium } = await import("@sparticuz/chromium");
const { default: puppeteer } = await import("puppeteer-core");
chromium.setGraphicsMode = false;
const browser = await puppeteer.launch({
  executablePath: await chromium.executablePath(),
  args: chromium.args,
  headless: "shell",
  defaultViewport: { width: Number(width), height: Number(height), isMobile: Number(width) < 600, hasTouch: Number(width) < 600 },
});

const complaints = [];
const page = await browser.newPage();
page.on("console", (message) => ["error", "warn"].includes(message.type()) && complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("requestfailed", (request) => complaints.push(`${request.url()}: ${request.failure().errorText}`));
page.on("dialog", (dialog) => {
  complaints.push(`a dialog: ${dialog.message()}`);
  return dialog.dismiss();
});

// What is on the screen, and which elements reach past its right edge.
const look = () =>
  page.evaluate(() => {
    const text = (element) => element?.textContent.trim();
    const all = (selector) => [...document.querySelectorAll(selector)];
    const wide = all("body *").filter((element) => element.getBoundingClientRect().right > window.innerWidth + 0.5);
    return {
      address: location.search,
      total: Number(text(document.querySelector(".total strong"))?.replace(/\D/g, "") || Number.NaN),
      titles: all("ol h2").map(text),
      marked: all("ol mark").map(text),
      chosen: all("p.chosen a").map((link) => link.firstChild.textContent.trim()),
      current: all("aside a[aria-current] .value").map(text),
      facets: Object.fromEntries(
        all("aside section").map((section) => [
          text(section.querySelector("h3")),
          [...section.querySelectorAll("li a")].map((link) => [
            text(link.querySelector(".value")),
            Number(text(link.querySelector(".count")).replace(/\D/g, "")),
          ]),
        ]),
      ),
      alert: text(document.querySelector("[role=alert]")) ?? null,
      images: all("img").length,
      scrolls: document.documentElement.scrollWidth > window.innerWidth,
      wide: wide.map((element) => `${element.tagName}.${element.className}`),
      smallest: Math.min(...all("body *").filter((e) => e.childElementCount === 0 && text(e) && e.checkVisibility()).map((e) => parseFloat(getComputedStyle(e).fontSize))),
    };
  });

const seen = {};
await page.goto(url, { waitUntil: "networkidle0" });
seen.opened = await look();
await page.type("input[name=q]", words);
await Promise.all([page.waitForNavigation({ waitUntil: "networkidle0" }), page.keyboard.press("Enter")]);
seen.searched = await look();

// The first value of a facet, as a finger or a mouse takes it: scrolled to, and clicked where it is.
const value = async () => {
  const sections = await page.$$("aside section");
  for (const section of sections) {
    if ((await section.$eval("h3", (name) => name.textContent)) === facet) return section.$("li a");
  }
  throw new Error(`no facet ${facet}`);
};
const click = async (element) => Promise.all([page.waitForNavigation({ waitUntil: "networkidle0" }), element.click()]);
await click(await value());
seen.narrowed = await look();
await page.screenshot({ path: picture });
await click(await page.$("p.chosen a"));
seen.widened = await look();
await page.type("input[name=filter]", "titel == 'x'");
await Promise.all([page.waitForNavigation({ waitUntil: "networkidle0" }), page.keyboard.press("Enter")]);
seen.mistaken = await look();

// The figures are fetched anew every two seconds; a failure would be a complaint.
await new Promise((resolve) => setTimeout(resolve, 2500));
await browser.close();
console.log(JSON.stringify({ seen, complaints }));
