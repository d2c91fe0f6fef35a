import { type ChildProcess, spawn } from "node:child_process";
import type { Page } from "playwright-core";
import { openDashboard, startBrowser } from "../test/support/browser.ts";
import { type DaemonFixture, startDaemonFixture } from "../test/support/daemon-fixture.ts";
import { manyEvents, replaceLog } from "../test/support/told-agent.ts";
import { waitFor } from "../test/support/wait-for.ts";
import { limitRow, median, type Row } from "./stats.ts";

const LINES = 30;
const MAX_PAINT_MS = 100;
const EVENTS = 100_000;
const FRAMES = 300;
const SCROLL_PX = 120;
/** 50 frames a second. */
const MAX_FRAME_MS = 20;
const WAIT_MS = 600_000;

/** The dashboard in headless Chromium, without a graphics processor. */
export async function* benchDashboard(): AsyncGenerator<Row> {
  const fixture = await startDaemonFixture();
  const browser = await startBrowser();
  try {
    const opened = await openDashboard(browser, fixture);
    yield await benchPaint(fixture, opened.page, opened.origin);
    yield await benchScroll(fixture, opened.page, opened.origin);
  } finally {
    await browser.close();
    await fixture.close();
  }
}

/** From a line's way into the guest, which prints it, to the frame after the one that it is drawn in: more than its way from the guest's write on. */
async function benchPaint(fixture: DaemonFixture, page: Page, origin: string): Promise<Row> {
  const { id } = await fixture.client.tasks.create({
    agent: "command",
    argv: ["sh", "-c", "mkfifo /tmp/lines; echo begun; while true; do cat /tmp/lines; done"],
  });
  await page.goto(`${origin}/tasks/${id}`);
  await page.locator(".printed", { hasText: "begun" }).waitFor({ timeout: WAIT_MS });
  const { vm } = await fixture.client.tasks.get(id);
  const writer = spawn(fixture.program, ["vm", "exec", vm?.name ?? "", "--", "sh", "-c", "cat > /tmp/lines"], {
    env: fixture.env,
    stdio: ["pipe", "ignore", "inherit"],
  });
  try {
    await page.evaluate(WATCH);
    // The first lines find out what is cold.
    for (let line = -3; line < 0; line++) await paintOf(page, writer, `warm${-line}`);
    const samples: number[] = [];
    for (let line = 0; line < LINES; line++) samples.push(await paintOf(page, writer, `line${line}`));
    return limitRow({
      what: "a line that a task prints, until it is painted in a browser, p50",
      unit: "ms",
      value: median(samples),
      limit: MAX_PAINT_MS,
      samples,
      note: "from the host on, through a command in the guest that hands it to the task",
    });
  } finally {
    writer.stdin?.end();
    await fixture.client.tasks.cancel(id);
    await fixture.client.tasks.wait(id, WAIT_MS);
  }
}

/** Notes when a text has been painted: two frames after it is in the page. The clocks of page and bench are one. */
const WATCH = `
  window.painted = {};
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes)
      for (const node of addedNodes) {
        const text = /(?:line|warm)\\d+/.exec(node.textContent)?.[0];
        if (text) requestAnimationFrame(() => requestAnimationFrame(() => { window.painted[text] ??= Date.now(); }));
      }
  }).observe(document.querySelector(".log-list"), { childList: true, subtree: true });
`;

async function paintOf(page: Page, writer: ChildProcess, text: string): Promise<number> {
  const begin = Date.now();
  writer.stdin?.write(`${text}\n`);
  let end = 0;
  await waitFor(async () => {
    end = Number(await page.evaluate(`window.painted["${text}"] ?? 0`));
    return end > 0;
  });
  return end - begin;
}

/** How long a frame takes, on the average, when a long log is scrolled by more than a hundred pixels with each. */
async function benchScroll(fixture: DaemonFixture, page: Page, origin: string): Promise<Row> {
  const { id } = await fixture.client.tasks.create({ agent: "command", argv: ["true"] });
  await fixture.client.tasks.wait(id, WAIT_MS);
  await replaceLog(fixture, id, manyEvents(EVENTS));
  await page.goto(`${origin}/tasks/${id}`);
  await page.getByText(`${EVENTS.toLocaleString("en-US")} events`).waitFor({ timeout: WAIT_MS });
  const times = (await page.evaluate(`new Promise((done) => {
    const list = document.querySelector(".log-list");
    const times = [];
    const step = (at) => {
      times.push(at);
      list.scrollTop += ${SCROLL_PX};
      if (times.length <= ${FRAMES}) requestAnimationFrame(step);
      else done(times);
    };
    requestAnimationFrame(step);
  })`)) as number[];
  const frames = times.slice(1).map((at, index) => at - (times[index] ?? 0));
  const mean = frames.reduce((sum, ms) => sum + ms, 0) / frames.length;
  return limitRow({
    what: `a frame while the log of ${EVENTS.toLocaleString("en-US")} events is scrolled, mean`,
    unit: "ms",
    value: mean,
    digits: 1,
    limit: MAX_FRAME_MS,
    samples: frames,
    note: `${Math.round(1000 / mean)} frames a second`,
  });
}
