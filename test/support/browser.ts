import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import type { DashboardCode } from "../../src/contract/dashboard.ts";
import { PACKAGE_ROOT } from "../../src/platform/package-files.ts";
import type { DaemonFixture } from "./daemon-fixture.ts";

/** Debian's. */
const CHROMIUM = "/usr/bin/chromium";
/** Where screenshots go, for whoever looks at a run's output. */
export const SCREENSHOTS = path.join(PACKAGE_ROOT, "test-output", "dashboard");
/** How long something may take to appear, ms: two cores are shared with emulated machines. */
const PATIENCE_MS = 60_000;

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

/** Headless Chromium with nothing kept from one test to the next. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    // Root has no sandbox of Chromium's; what is shown here is our own.
    args: [
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      "--disable-dev-shm-usage",
      "--force-color-profile=srgb",
    ],
  });
}

/** A page of the dashboard, and what it did that no page of ours should. */
export interface DashboardPage {
  page: Page;
  origin: string;
  /** Requests to anywhere but the daemon. */
  strangers: string[];
  /** What the console has of errors, refusals by the content security policy among them. */
  complaints: string[];
  /** Signs in and goes to a path. */
  close: () => Promise<void>;
}

export interface OpenOptions {
  theme?: "dark" | "light";
  viewport?: { width: number; height: number };
  context?: BrowserContextOptions;
}

/** Signs in with a code of `firebreak dashboard` and goes to a path. */
export async function openDashboard(
  browser: Browser,
  daemon: DaemonFixture,
  to = "/",
  { theme = "dark", viewport = DESKTOP, context: more = {} }: OpenOptions = {},
): Promise<DashboardPage> {
  const { url = "" } = await daemon.json<DashboardCode>("dashboard");
  const { origin } = new URL(url);
  const context = await browser.newContext({
    viewport,
    colorScheme: theme,
    locale: "en-GB",
    timezoneId: "UTC",
    ...more,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const strangers: string[] = [];
  const complaints: string[] = [];
  page.on("request", (request) => {
    const { protocol, origin: from } = new URL(request.url());
    if (from !== origin && protocol !== "blob:") strangers.push(request.url());
  });
  page.on("console", (message) => {
    // Nobody has signed in at first, which is found out by asking.
    if (message.type() === "error" && !message.text().includes("401 (Unauthorized)")) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(url);
  await page.getByRole("navigation", { name: "Main" }).waitFor();
  if (to !== "/") await page.goto(origin + to);
  return { page, origin, strangers, complaints, close: () => context.close() };
}

/** Asserts that a page has asked nobody else for anything, and that the browser found nothing to complain of. */
export function assertQuiet({ strangers, complaints }: DashboardPage): void {
  assert.deepEqual(strangers, []);
  assert.deepEqual(complaints, []);
}

/** Keeps what a page looks like; `name` without an ending. */
export async function screenshot(page: Page, name: string): Promise<void> {
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), animations: "disabled" });
}

interface Violation {
  id: string;
  impact: string | null;
  help: string;
  nodes: { html: string; failureSummary?: string }[];
}

/** Asserts that axe finds nothing serious or critical on a page as it is now. */
export async function assertAccessible(page: Page): Promise<void> {
  const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  // As the developer tools would: the page's own policy lets no script of others in.
  await page.evaluate(axe);
  const violations = (await page.evaluate(
    "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)",
  )) as Violation[];
  const serious = violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, help, nodes }) => ({
      id,
      help,
      nodes: nodes.slice(0, 3).map(({ html, failureSummary }) => [html, failureSummary]),
    }));
  assert.deepEqual(serious, [], page.url());
}

/** Asserts that nothing sticks out of the page to the right. */
export async function assertNoOverflow(page: Page): Promise<void> {
  const [content, window] = (await page.evaluate(
    "[document.documentElement.scrollWidth, document.documentElement.clientWidth]",
  )) as [number, number];
  assert.ok(content <= window, `${page.url()}: ${content} px in a window of ${window} px`);
}
