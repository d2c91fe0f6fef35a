import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Locator, Page } from "playwright-core";
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
import { vmServer } from "../support/mcp-servers/fixture-server.ts";
import { markupProgram } from "../support/mcp-servers/markup-server.ts";
import { WORKSHOP_PROGRAM } from "../support/mcp-servers/workshop-server.ts";
import { waitFor } from "../support/wait-for.ts";

/** The pages of MCP servers, in a real browser against real servers in VMs. */

/** A first start boots a VM, installs nothing, and saves it, ms. */
const STARTED_MS = 300_000;
let daemon: DaemonFixture;
let browser: Browser;
let dashboard: DashboardPage;
let page: Page;

before(async () => {
  daemon = await startDaemonFixture();
  await daemon.client.servers.apply({
    source: "e2e",
    servers: [vmServer("workshop", WORKSHOP_PROGRAM), vmServer("markup", markupProgram(INJECTIONS))],
  });
  browser = await startBrowser();
  dashboard = await openDashboard(browser, daemon, "/mcp-servers");
  page = dashboard.page;
});
after(async () => {
  await browser?.close();
  await daemon.close();
});

const open = (to: string) => page.goto(`${dashboard.origin}${to}`);
const tab = (name: RegExp | string) => page.getByRole("tab", { name });
const button = (name: string) => page.getByRole("button", { name, exact: true });
const dialog = () => page.getByRole("dialog");
const state = (name: string): Promise<void> =>
  page.locator(".page-title").getByText(name, { exact: true }).waitFor({ timeout: STARTED_MS });
const result = (): Locator => dialog().getByRole("region", { name: "Result" });
async function openTool(name: string): Promise<void> {
  await tab(/^Tools/).click();
  await button(`Call ${name}`).click();
}
const callIt = () => dialog().getByRole("button", { name: "Call", exact: true }).click();
const leave = () => dialog().getByRole("button", { name: "Close" }).click();

test("a server that has never run is started from its page, and tells its tools", async () => {
  await page
    .getByRole("row", { name: /workshop/ })
    .getByText("new")
    .waitFor();
  await page.getByRole("link", { name: "workshop" }).click();
  await page.getByText("What it offers is not known").waitFor();
  await assertAccessible(page);
  await button("Start").click();
  await state("running");
  await page.getByRole("list", { name: "Tools" }).getByRole("heading", { name: "add" }).waitFor();
  await page.getByText("Adds two numbers.").waitFor();
  await assertAccessible(page);
  await screenshot(page, "server-tools-dark");
  await tab("Log").click();
  await page.getByRole("log", { name: "Log of workshop" }).getByText("the workshop is open").first().waitFor();
  await assertAccessible(page);
  await tab("Configuration").click();
  await page.getByText("workshop 1", { exact: true }).waitFor();
  await assertAccessible(page);
  await screenshot(page, "server-config-dark");
  assertQuiet(dashboard);
});

test("a tool is called by hand, with a form of its schema or with JSON", async () => {
  await openTool("add");
  await assertAccessible(page);
  await dialog().getByLabel("a", { exact: true }).fill("2.4");
  await dialog().getByLabel("manner").selectOption('"loud"');
  await dialog().getByLabel("isRounded").selectOption("true");
  await dialog().getByLabel("note").fill("in all");
  await dialog().getByLabel("more").fill("[1,");
  await callIt();
  await dialog().getByRole("alert").getByText("more:").waitFor();
  await dialog().getByLabel("more").fill("[1, 2]");
  await callIt();
  await result().getByText("45! in all").waitFor();
  await assertAccessible(page);
  await screenshot(page, "server-call-dark");
  await dialog().getByRole("button", { name: "As JSON" }).click();
  const json = dialog().getByLabel("Arguments, as JSON");
  assert.deepEqual(JSON.parse(await json.inputValue()), {
    a: 2.4,
    b: 40,
    manner: "loud",
    isRounded: true,
    note: "in all",
    more: [1, 2],
  });
  await json.fill('{"a": 1, "b": 1}');
  await callIt();
  await result().getByText("2", { exact: true }).waitFor();
  await leave();
  await openTool("paint");
  await callIt();
  const image = result().getByRole("img");
  await waitFor(async () => (await image.evaluate((element) => Reflect.get(element, "naturalWidth"))) === 1);
  await leave();
  await openTool("fail");
  await callIt();
  await result().getByText("no luck today").waitFor();
  await result().getByText("the tool says that it failed").waitFor();
  await leave();
  await openTool("hang");
  await callIt();
  await dialog().getByRole("button", { name: "Cancel" }).click();
  await dialog().getByRole("button", { name: "Back" }).click();
  const { entries } = await daemon.client.audit.list({ server: "workshop" });
  const called = entries.map((entry) => ("note" in entry ? "" : `${entry.client.name} ${entry.tool} ${entry.verdict}`));
  assert.ok(called.includes("firebreak-dashboard add ok"), called.join());
  assert.ok(called.includes("firebreak-dashboard fail tool_error"), called.join());
});

test("a definition that has changed is not offered until its change has been looked at and approved", async () => {
  await openTool("change");
  await callIt();
  await result().getByText("changed").waitFor();
  await leave();
  await tab(/1 waiting/).waitFor();
  await page.getByRole("heading", { name: "add", exact: true }).waitFor({ state: "detached" });
  await tab(/1 waiting/).click();
  const diff = page.getByRole("group", { name: "What is changed in add" });
  await diff.getByText(/^\+ .*Also sends them to the accountants/).waitFor();
  await diff
    .getByText(/^- .*Adds two numbers/)
    .first()
    .waitFor();
  await assertAccessible(page);
  await screenshot(page, "server-scan-dark");
  await button("Approve add").click();
  await page.getByText("Nothing waits for an approval").waitFor();
  assert.equal((await daemon.client.servers.get("workshop")).waiting, 0);
  await tab(/^Tools/).click();
  await page.getByText("Also sends them to the accountants").first().waitFor();
  assertQuiet(dashboard);
});

test("a server is stopped after a question, and started again", async () => {
  await open("/mcp-servers/workshop");
  await button("Stop").click();
  await dialog().getByRole("button", { name: "Stop the server" }).click();
  await state("stopped");
  assert.deepEqual((await daemon.client.servers.get("workshop")).vms, []);
  await button("Start").click();
  await state("running");
});

test("whoever signs in with an API key looks at a change and cannot approve it", async () => {
  await daemon.client.servers.prepare("markup");
  const { key } = await daemon.client.keys.create({ name: "phone" });
  const context = await browser.newContext();
  const guest = await context.newPage();
  await guest.goto(`${dashboard.origin}/login`);
  await guest.getByLabel("Or sign in with an API key").fill(key);
  await guest.getByRole("button", { name: "Sign in" }).click();
  await guest.getByRole("navigation", { name: "Main" }).waitFor();
  await guest.goto(`${dashboard.origin}/mcp-servers/markup/scan`);
  await guest.getByRole("button", { name: "Approve word-0" }).click({ timeout: 60_000 });
  await guest.getByRole("alert").getByText("LOCAL_CALLERS_ONLY").waitFor({ timeout: 60_000 });
  await context.close();
});

test("a server whose every word is markup, hidden or a megabyte long harms nothing", async () => {
  await open("/mcp-servers/markup/scan");
  await page.getByRole("list", { name: "Findings" }).waitFor();
  await page.getByText("\\u{202e}").first().waitFor();
  await assertNotInjected(page);
  await screenshot(page, "server-hostile-scan-dark");
  await button("Approve all").click();
  await page.getByText("Nothing waits for an approval").waitFor();
  await tab(/^Tools/).click();
  const first = page.getByRole("list", { name: "Tools" }).getByRole("listitem").filter({ hasText: "word-0" });
  await first.getByText("Definition").click();
  await first
    .getByText(INJECTIONS[0] as string)
    .first()
    .waitFor();
  await page.getByRole("listitem").filter({ hasText: "AAAA" }).getByText("Definition").click();
  await assertNotInjected(page);
  await assertNoOverflow(page);
  await screenshot(page, "server-hostile-tools-dark");
  await openTool("say");
  for (const word of INJECTIONS.slice(0, 2)) await dialog().getByLabel(word).fill(word);
  await dialog().getByLabel("__proto__").fill("own");
  await dialog().getByRole("button", { name: "As JSON" }).click();
  assert.match(await dialog().getByLabel("Arguments, as JSON").inputValue(), /"__proto__": "own"/);
  await callIt();
  await result().getByText("An image that cannot be read").waitFor();
  await result()
    .getByRole("button", { name: /Show all \(1,048,576 characters\)/ })
    .click();
  await assertNotInjected(page);
  await assertNoOverflow(page);
  await screenshot(page, "server-hostile-result-dark");
  await leave();
  await tab("Log").click();
  await page.getByRole("log").getByText("after all that").waitFor();
  await tab("Configuration").click();
  await page
    .getByText(INJECTIONS[0] as string)
    .first()
    .waitFor();
  await assertNotInjected(page);
  assertQuiet(dashboard);
});

for (const [name, options] of [
  ["light", { theme: "light" }],
  ["phone", { viewport: PHONE }],
] as const) {
  test(`the pages of a server are as good: ${name}`, async () => {
    const other = await openDashboard(browser, daemon, "/mcp-servers", options);
    const row = other.page.getByRole("row", { name: /workshop/ });
    await row.waitFor();
    const { height = 0 } = (await row.boundingBox()) ?? {};
    assert.ok(height < 80, `a row is ${height} pixels high`);
    await assertAccessible(other.page);
    await assertNoOverflow(other.page);
    await screenshot(other.page, `servers-${name}`);
    for (const part of ["tools", "scan", "log", "config"]) {
      await other.page.goto(`${other.origin}/mcp-servers/workshop/${part}`);
      await other.page.getByRole("tabpanel").waitFor();
      await other.page.locator(".loading").waitFor({ state: "detached" });
      await assertNoOverflow(other.page);
      await assertAccessible(other.page);
      await screenshot(other.page, `server-${part}-${name}`);
    }
    assertQuiet(other);
    await other.close();
  });
}
