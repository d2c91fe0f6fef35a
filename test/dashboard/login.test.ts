import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import type { DashboardCode } from "../../src/contract/dashboard.ts";
import { assertAccessible, assertQuiet, openDashboard, screenshot, startBrowser } from "../support/browser.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";

let daemon: DaemonFixture;
let browser: Browser;
before(async () => {
  daemon = await startDaemonFixture();
  browser = await startBrowser();
});
after(async () => {
  await browser.close();
  await daemon.close();
});

test("an address signs in once, and its code does not stay in the browser", async () => {
  const { url = "" } = await daemon.json<DashboardCode>("dashboard");
  const { page, origin, close } = await openDashboard(browser, daemon);
  const context = page.context();
  assert.equal(page.url(), `${origin}/`);
  await page.reload();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const other = await browser.newPage();
  await other.goto(url);
  await other.getByRole("heading", { name: "Overview" }).waitFor();
  assert.equal(await other.evaluate("location.hash"), "");
  const third = await browser.newPage();
  await third.goto(url);
  await third.getByRole("alert").getByText("LOGIN_CODE_INVALID").waitFor();
  assert.doesNotMatch(third.url(), /code=/);
  assert.deepEqual(await context.storageState().then(({ origins }) => origins), [], "nothing of it is in storage");
  await other.close();
  await third.close();
  await close();
});

test("an API key signs in, from the keyboard alone, and signing out ends it", async () => {
  const { key } = await daemon.client.keys.create({ name: "phone" });
  const opened = await openDashboard(browser, daemon);
  const { page } = opened;
  await page.getByRole("button", { name: "Sign out" }).click();
  const field = page.getByLabel("Or sign in with an API key");
  await field.waitFor();
  for (const theme of ["dark", "light"] as const) {
    await page.emulateMedia({ colorScheme: theme });
    await page.reload();
    await field.waitFor();
    await assertAccessible(page);
    await screenshot(page, `login-${theme}`);
  }
  await field.fill(`fbk_${"A".repeat(43)}`);
  await field.press("Enter");
  await page.getByRole("alert").getByText("API_KEY_INVALID").waitFor();
  await field.fill(key);
  await field.press("Enter");
  await page.getByText("phone", { exact: true }).waitFor();
  await daemon.client.keys.revoke("phone");
  await field.waitFor();
  assertQuiet(opened);
  await opened.close();
});

test("whoever has no mouse gets past the navigation, and to each page", async () => {
  const opened = await openDashboard(browser, daemon);
  const { page } = opened;
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate("document.activeElement.textContent"), "Skip to content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate("document.activeElement.id"), "main");
  for (const [name, path] of [
    ["Tasks", "/tasks"],
    ["VMs", "/vms"],
    ["Servers", "/mcp-servers"],
    ["Secrets", "/secrets"],
    ["Audit", "/audit"],
    ["Overview", "/"],
  ] as const) {
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name }).press("Enter");
    await page.locator(`nav a[aria-current=page][href="${path}"]`).waitFor();
    assert.equal(new URL(page.url()).pathname, path);
    assert.equal(await page.evaluate("document.activeElement.id"), "main", "a page is read from its beginning");
  }
  await page.goBack();
  await page.getByRole("heading", { name: "Audit", exact: true }).waitFor();
  assertQuiet(opened);
  await opened.close();
});

test("a theme that is chosen is there again, before anything is drawn", async () => {
  const opened = await openDashboard(browser, daemon, "/", { theme: "dark" });
  const { page } = opened;
  assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
  await page.getByRole("button", { name: "Light theme" }).click();
  assert.equal(await page.locator("html").getAttribute("data-theme"), "light");
  await page.reload({ waitUntil: "commit" });
  await page.locator("html[data-theme=light]").waitFor();
  await opened.close();
});

test("a daemon that is started anew is waited for, and knows its session", async () => {
  const opened = await openDashboard(browser, daemon, "/tasks");
  const { page } = opened;
  await daemon.ok("daemon", "stop");
  await page.getByRole("alert").getByText("NETWORK").waitFor();
  await daemon.ok("daemon", "start");
  await page.getByRole("alert").waitFor({ state: "detached" });
  await page.getByText("No tasks yet").waitFor();
  await opened.close();
});
