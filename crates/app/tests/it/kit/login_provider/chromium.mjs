// Opens a link in Chromium, compares the code, agrees, and waits for the end. Takes the directory
// of playwright-core, the browser's file, the link and the code; prints the last page's heading.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [packages, executablePath, link, code] = process.argv.slice(2);
const found = createRequire(`${packages}/package.json`).resolve('playwright-core');
const { default: { chromium } } = await import(pathToFileURL(found).href);

const args = ['--no-sandbox', '--disable-dev-shm-usage'];
const browser = await chromium.launch({ executablePath, args, timeout: 300_000 });
try {
  // The gateway's certificate is of its own authority.
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const problems = [];
  page.on('console', (message) => problems.push(message.text()));
  page.setDefaultTimeout(300_000);
  await page.goto(link);
  const shown = await page.textContent('#code');
  if (shown !== code) throw new Error(`the page shows ${shown}, not ${code}`);
  await page.click('#go');
  await page.waitForURL(/\/login\/callback\?/);
  console.log(await page.textContent('h1'));
  // Those of the provider, on another port of the same host, are its own matter.
  const left = (await context.cookies(link)).filter(({ name }) => name.startsWith('__Host-'));
  console.log(`cookies left: ${left.length}`);
  for (const problem of problems) console.log(`problem: ${problem}`);
} finally {
  await browser.close();
}
