import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import type { AuditReport } from "../../src/contract/audit.ts";
import {
  assertAccessible,
  assertNoOverflow,
  assertQuiet,
  type DashboardPage,
  openDashboard,
  PHONE,
  screenshot,
  startBrowser,
} from "../support/browser.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { assertNotInjected, INJECTIONS } from "../support/injection.ts";
import { waitFor } from "../support/wait-for.ts";

/** The page of the audit log. */

let daemon: DaemonFixture;
let browser: Browser;
let dashboard: DashboardPage;
let page: Page;

const report = (tool: string, more: Partial<AuditReport> = {}) =>
  daemon.client.audit.report({
    tool,
    client: { name: "claude-code", version: "2.1" },
    requestBytes: 120,
    responseBytes: 34_000,
    durationMs: 12.5,
    verdict: "ok",
    ...more,
  });

before(async () => {
  daemon = await startDaemonFixture();
  for (const tool of ["vm_list", "vm_get", "vm_create"]) await report(tool);
  await report("vm_exec", { verdict: "tool_error", code: "VM_NOT_FOUND", client: { name: "inspector" } });
  await report("vm_delete", { verdict: "denied", code: "CONFIRMATION_MISSING" });
  browser = await startBrowser();
  dashboard = await openDashboard(browser, daemon, "/audit");
  page = dashboard.page;
});
after(async () => {
  await browser?.close();
  await daemon.close();
});

const log = () => page.getByRole("table", { name: "Audit log" });
const calls = () => log().locator("tbody td:nth-child(4)");
const rowsAre = async (...tools: string[]) => {
  const shown = async () => (await calls().allTextContents()).map((text) => /firebreak (\w+)/.exec(text)?.[1]).join();
  await waitFor(async () => (await shown()) === tools.join());
};
const ALL = ["vm_delete", "vm_exec", "vm_create", "vm_get", "vm_list"];

test("calls are listed, the newest first, and new ones come by themselves", async () => {
  await rowsAre(...ALL);
  await assertAccessible(page);
  await screenshot(page, "audit-dark");
  await report("vm_stats");
  await rowsAre("vm_stats", ...ALL);
});

test("filters leave what is meant", async () => {
  await page.getByLabel("Verdict").selectOption("tool_error");
  await rowsAre("vm_exec");
  await page.getByLabel("Verdict").selectOption("");
  await page.getByLabel("Client").fill("inspector");
  await rowsAre("vm_exec");
  await page.getByLabel("Server").fill("nowhere");
  await page.getByText("No entry is like that").waitFor();
  await page.getByLabel("Client").fill("");
  await page.getByLabel("Server").fill("firebreak");
  await page.getByLabel("Time").selectOption("Last hour");
  await rowsAre("vm_stats", ...ALL);
  const downloading = page.waitForEvent("download");
  await page.getByRole("link", { name: "CSV" }).click();
  const csv = await readFile(await (await downloading).path(), "utf8");
  assert.match(csv, /^seq,at/);
  assert.equal(csv.trimEnd().split("\r\n").length, 7);
});

test("markup in an entry is text", async () => {
  for (const word of INJECTIONS) await report(word.slice(0, 250), { client: { name: word.slice(0, 250) } });
  await page.goto(`${dashboard.origin}/audit`);
  await log().getByText("window.injected").first().waitFor();
  await assertNotInjected(page);
  await assertNoOverflow(page);
  assertQuiet(dashboard);
});

for (const [name, options] of [
  ["light", { theme: "light" }],
  ["phone", { viewport: PHONE }],
] as const) {
  test(`the page is as good: ${name}`, async () => {
    const other = await openDashboard(browser, daemon, "/audit", options);
    await other.page.getByRole("table", { name: "Audit log" }).waitFor();
    await assertAccessible(other.page);
    await assertNoOverflow(other.page);
    await screenshot(other.page, `audit-${name}`);
    assertQuiet(other);
    await other.close();
  });
}

test("a log that is whole is verified; one that somebody has changed is found out", async () => {
  const card = page.getByRole("region", { name: "Verification" });
  await page.getByRole("button", { name: "Verify" }).click();
  await card.getByText("whole").waitFor();
  await card.getByText("12 entries are as written").waitFor();
  const folder = path.join(daemon.paths.home, "audit");
  const [name = ""] = await readdir(folder);
  const file = path.join(folder, name);
  await writeFile(file, (await readFile(file, "utf8")).replace("vm_get", "vm_xet"));
  await page.getByRole("button", { name: "Verify" }).click();
  await card.getByText("broken").waitFor();
  await card.getByText(/The chain ends at line 2 of/).waitFor();
  await assertAccessible(page);
  await screenshot(page, "audit-broken-dark");
});
