import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
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

const state = (page: Page, name: string) => page.locator(".page-title .badge", { hasText: name });

test("a task is begun with the form, looked at as it works, and ends with its files", async () => {
  const opened = await openDashboard(browser, daemon, "/tasks");
  const { page } = opened;
  await page.getByRole("button", { name: "New task" }).click();
  const form = page.getByRole("dialog", { name: "New task" });
  await form.locator("textarea:focus").waitFor();
  await form.getByLabel("Agent").selectOption("command");
  await form.getByText("Machine", { exact: true }).click();
  await form.getByLabel("VMM").selectOption("qemu");
  await form.getByLabel("Accelerator").selectOption("tcg");
  await form
    .getByLabel("Command")
    .fill('echo "hello from $WHO"; mkdir -p /root/output; echo done > /root/output/note.txt; echo oops >&2');
  await form.getByText("Network, secrets and environment").click();
  await form.getByLabel("Environment").fill("WHO=the form");
  await form.getByText("Limits and labels").click();
  await form.getByLabel("Name").fill("first task");
  await form.getByLabel("Labels").fill("team=web");
  await form.getByRole("button", { name: "Start task" }).click();
  await page.getByRole("heading", { name: "first task" }).waitFor();
  await state(page, "completed").waitFor();
  await page.getByText("hello from the form").waitFor();
  const printed = page.locator(".printed-stderr", { hasText: "oops" });
  await printed.waitFor();
  const { height = 0 } = (await printed.boundingBox()) ?? {};
  assert.ok(height > 0 && height < 40, `one line that it printed is ${height} pixels high`);
  await page.getByText("Finished: completed").waitFor();
  await page.getByRole("tab", { name: "Files (1)" }).click();
  await page
    .getByRole("row", { name: /note\.txt/ })
    .getByRole("button", { name: "View" })
    .click();
  await page.locator("pre", { hasText: "done" }).waitFor();
  const downloading = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download note.txt" }).click();
  assert.equal((await downloading).suggestedFilename(), "note.txt");
  const [task] = await daemon.client.tasks.list();
  assert.deepEqual([task?.name, task?.labels, task?.user], ["first task", { team: "web" }, "dashboard"]);
  assertQuiet(opened);
  await opened.close();
});

test("what the daemon refuses is said in the form, with its code", async () => {
  const opened = await openDashboard(browser, daemon, "/tasks?new");
  const { page } = opened;
  const form = page.getByRole("dialog", { name: "New task" });
  await form.getByLabel("Agent").selectOption("claude");
  await form.getByText("It needs a key: firebreak secret set ANTHROPIC_API_KEY").waitFor();
  await form.getByLabel("Prompt").fill("Hello");
  await form.getByRole("button", { name: "Start task" }).click();
  await form.getByRole("alert").getByText("AGENT_SECRET_MISSING").waitFor();
  await opened.close();
});

test("why a task has failed is said once, in its lines, with what there is to do", async () => {
  const { id } = await daemon.client.tasks.create({ agent: "command", argv: ["true"], image: "nobodys" });
  await daemon.client.tasks.wait(id, 60_000);
  const opened = await openDashboard(browser, daemon, `/tasks/${id}`);
  const { page } = opened;
  const alert = page.getByRole("alert");
  await alert.getByText("IMAGE_NOT_FOUND").waitFor();
  await alert.getByText("firebreak image pull").waitFor();
  assert.doesNotMatch((await page.locator(".task-summary").textContent()) ?? "", /nobodys/);
  const lines = await page.evaluate('getComputedStyle(document.querySelector(".error-text")).whiteSpace');
  assert.equal(lines, "pre-line");
  await assertAccessible(page);
  await screenshot(page, "task-error-dark");
  await daemon.client.tasks.delete(id);
  await opened.close();
});

test("a task is cancelled after a question, and retried", async () => {
  const { id } = await daemon.client.tasks.create({ agent: "command", argv: ["sleep", "1000"], name: "endless" });
  const opened = await openDashboard(browser, daemon, `/tasks/${id}`);
  const { page } = opened;
  await state(page, "running").waitFor();
  await page.getByText("live", { exact: true }).waitFor();
  const cancel = page.getByRole("button", { name: "Cancel", exact: true });
  await cancel.click();
  const dialog = page.getByRole("dialog", { name: "Cancel the task?" });
  await dialog.getByRole("button", { name: "Back" }).click();
  await dialog.waitFor({ state: "hidden" });
  await cancel.click();
  await dialog.getByRole("button", { name: "Cancel the task" }).click();
  await state(page, "cancelled").waitFor();
  await page.getByText("Finished: cancelled").waitFor();
  await page.getByRole("button", { name: "Retry" }).click();
  await page.waitForURL((url) => url.pathname !== `/tasks/${id}`);
  await state(page, "running").waitFor();
  await cancel.click();
  await dialog.getByRole("button", { name: "Cancel the task" }).click();
  await state(page, "cancelled").waitFor();
  await opened.close();
});

test("the list is filtered by state, text and label, and says so in its address", async () => {
  const opened = await openDashboard(browser, daemon, "/tasks");
  const { page } = opened;
  const table = page.getByRole("table", { name: "Tasks" });
  const names = async () => (await table.locator("tbody tr td:first-child").allTextContents()).sort();
  await table.getByRole("link", { name: "first task" }).waitFor();
  assert.deepEqual(await names(), ["endless", "endless", "first task"]);
  await page.getByRole("button", { name: "Completed" }).click();
  await table.getByRole("link", { name: "endless" }).first().waitFor({ state: "detached" });
  assert.deepEqual(await names(), ["first task"]);
  assert.match(page.url(), /\?show=completed$/);
  await page.goto(`${opened.origin}/tasks?label=team%3Dweb`);
  await table.getByRole("link", { name: "first task" }).waitFor();
  assert.deepEqual(await names(), ["first task"]);
  await page.goto(`${opened.origin}/tasks`);
  await page.getByLabel("Filter by text").fill("ENDL");
  await table.getByRole("link", { name: "first task" }).waitFor({ state: "detached" });
  assert.deepEqual(await names(), ["endless", "endless"]);
  assertQuiet(opened);
  await opened.close();
});
