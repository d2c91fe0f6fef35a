import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import type { TaskEvent } from "../../src/contract/task-event.ts";
import { assertQuiet, openDashboard, startBrowser } from "../support/browser.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import {
  addToldAgent,
  EXAMPLE_DIFF,
  examplePng,
  exampleWork,
  manyEvents,
  replaceLog,
  says,
  toldTask,
} from "../support/told-agent.ts";
import { waitFor } from "../support/wait-for.ts";

let daemon: DaemonFixture;
let browser: Browser;
/** One whose work is over, with files. */
let done: string;
before(async () => {
  daemon = await startDaemonFixture();
  browser = await startBrowser();
  await addToldAgent(daemon);
  const files = {
    "coverage.png": examplePng(),
    "report.html": "<script>document.title='x'</script>",
    "workspace.diff": EXAMPLE_DIFF,
  };
  ({ id: done } = await daemon.client.tasks.create(toldTask("Fix the failing test", exampleWork(), { files })));
  const { state, reason } = await daemon.client.tasks.wait(done, 300_000);
  assert.equal(state, "completed", reason);
});
after(async () => {
  await browser.close();
  await daemon.close();
});

const list = (page: Page) => page.getByRole("region", { name: "Events" });
/** Numbers of the rows that are drawn. */
const drawn = (page: Page) =>
  page.locator(".log-row").evaluateAll((rows) => rows.map((row) => Number(row.getAttribute("data-seq"))));
/** How far the end of the log is below what can be seen, px. */
const belowEnd = (page: Page) =>
  list(page).evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight);
const AT_END =
  "(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight < 2)(document.querySelector('.log-list'))";
/** Goes on with an agent that waits for a file. */
const letGoOn = async (id: string, file: string) => {
  const { vm } = await daemon.client.tasks.get(id);
  assert.ok(vm !== undefined);
  await daemon.ok("vm", "exec", vm.name, "--", "touch", file);
};

test("each kind of event has its colour, name and text", async () => {
  const opened = await openDashboard(browser, daemon, `/tasks/${done}`, { viewport: { width: 1280, height: 2600 } });
  const { page } = opened;
  await page.getByText("Finished: completed").waitFor();
  const colour = (selector: string) =>
    page.evaluate(`getComputedStyle(document.querySelector("${selector}")).borderLeftColor`);
  const wanted = (name: string) =>
    page.evaluate(`(() => {
      const probe = document.body.appendChild(document.createElement("i"));
      probe.style.color = "var(--${name})";
      const { color } = getComputedStyle(probe);
      probe.remove();
      return color;
    })()`);
  for (const [kind, name] of [
    ["thinking", "purple"],
    ["say", "info"],
    ["call", "accent"],
    ["result", "text-3"],
    ["answer", "good"],
  ] as const)
    assert.equal(await colour(`.block-${kind}`), await wanted(name), kind);
  const call = page.locator(".block-call", { hasText: "Edit" });
  assert.match((await call.textContent()) ?? "", /file_path: src\/calendar\.ts/);
  assert.match((await page.locator(".block-answer", { hasText: "Finished" }).textContent()) ?? "", /\$0\.0487/);
  assertQuiet(opened);
  await opened.close();
});

test("a long result is cut at 2,000 characters, and shown whole when that is wanted", async () => {
  const opened = await openDashboard(browser, daemon, `/tasks/${done}`);
  const { page } = opened;
  const result = page.locator(".block-result", { hasText: "Bash result" }).first();
  const text = result.locator("pre");
  await text.waitFor();
  assert.equal((await text.textContent())?.length, 2_001, "2,000 and an ellipsis");
  await result.getByRole("button", { name: /^Show all 3,\d{3} characters$/ }).click();
  await result.getByText("not ok 91").waitFor();
  assert.equal(await result.getByRole("button").count(), 0);
  await opened.close();
});

test("a search finds what is not drawn, marks it and goes from one to the next", async () => {
  const opened = await openDashboard(browser, daemon, `/tasks/${done}`);
  const { page } = opened;
  await list(page).focus();
  await page.keyboard.press("Control+f");
  const field = page.getByRole("searchbox", { name: "Search the log" });
  await field.fill("CENTURIES");
  await page.getByText("1 of 1").waitFor();
  await page.locator("mark", { hasText: "centuries" }).waitFor();
  await field.fill("calendar.ts");
  await page.getByText(/^1 of [2-9]$/).waitFor();
  await field.press("Enter");
  await page.getByText(/^2 of \d+$/).waitFor();
  await field.press("Shift+Enter");
  await page.getByText(/^1 of \d+$/).waitFor();
  await field.fill("no such thing");
  await page.getByText("nothing", { exact: true }).waitFor();
  await opened.close();
});

test("files are images, diffs and text; a page among them is none of this origin", async () => {
  const opened = await openDashboard(browser, daemon, `/tasks/${done}`);
  const { page, origin } = opened;
  await page.getByRole("tab", { name: "Files (3)" }).click();
  const image = page.getByRole("img", { name: "coverage.png" });
  await image.waitFor();
  await waitFor(async () => (await page.evaluate("document.querySelector('.thumb img').naturalWidth")) === 480);
  await page
    .getByRole("row", { name: /report\.html/ })
    .getByRole("button", { name: "View" })
    .click();
  await page.locator("pre", { hasText: "<script>" }).waitFor();
  const title = await page.title();
  const file = await page.request.get(`${origin}/v1/tasks/${done}/file?path=report.html`);
  assert.equal(file.headers()["content-type"], "application/octet-stream");
  await page.getByRole("tab", { name: "Changes" }).click();
  await page.locator(".diff-remove").waitFor();
  assert.equal(await page.locator(".diff-add").count(), 2);
  assert.equal(await page.locator(".diff-remove").count(), 1);
  assert.equal(await page.title(), title);
  assertQuiet(opened);
  await opened.close();
});

test("what happens is seen as it does; the end is followed until the reader scrolls up, and again once they are back", async () => {
  const talk = Array.from({ length: 30 }, (_, index) => says.text(`Sentence ${index}, of some length to be read.`));
  const more = Array.from({ length: 20 }, (_, index) => says.text(`Later ${index}.`));
  const last = Array.from({ length: 20 }, (_, index) => says.text(`Last ${index}.`));
  const { id } = await daemon.client.tasks.create(
    toldTask("Talk", [
      says.begin(),
      ...talk,
      says.waitFor("/root/a"),
      ...more,
      says.waitFor("/root/b"),
      ...last,
      says.end("done"),
    ]),
  );
  const opened = await openDashboard(browser, daemon, `/tasks/${id}`);
  const { page } = opened;
  await page.getByText("Sentence 29").waitFor({ timeout: 180_000 });
  await waitFor(() => page.evaluate<boolean>(AT_END));
  await list(page).hover();
  await page.mouse.wheel(0, -600);
  const latest = page.getByRole("button", { name: "Latest" });
  await latest.waitFor();
  const top = await list(page).evaluate((element) => element.scrollTop);
  await letGoOn(id, "/root/a");
  await waitFor(async () => Number.parseInt((await page.locator(".log-count").textContent()) ?? "", 10) >= 100);
  await sleep(500);
  assert.ok(
    Math.abs((await list(page).evaluate((element) => element.scrollTop)) - top) < 80,
    "the reader is left where they are",
  );
  assert.ok((await belowEnd(page)) > 400);
  await latest.click();
  await page.getByText("Later 19").waitFor();
  await letGoOn(id, "/root/b");
  await page.getByText("Last 19").waitFor();
  await page.getByText("Finished: completed").waitFor();
  assertQuiet(opened);
  await opened.close();
});

test("events come once and in order over a daemon that is started anew", async () => {
  const lines = (name: string) => Array.from({ length: 8 }, (_, index) => says.text(`${name} ${index}.`));
  const { id } = await daemon.client.tasks.create(
    toldTask("Go on", [
      says.begin(),
      ...lines("Before"),
      says.waitFor("/root/go"),
      ...lines("After"),
      says.end("over"),
    ]),
  );
  const opened = await openDashboard(browser, daemon, `/tasks/${id}`, { viewport: { width: 1280, height: 4000 } });
  const { page } = opened;
  await page.getByText("Before 7.").waitFor({ timeout: 180_000 });
  await daemon.ok("daemon", "stop");
  await page.getByText("reconnecting").waitFor();
  await daemon.ok("daemon", "start");
  await page.getByText("live", { exact: true }).waitFor();
  await letGoOn(id, "/root/go");
  await page.getByText("Finished: completed").waitFor();
  await page.getByRole("button", { name: "Raw" }).click();
  await page.locator(".raw").first().waitFor();
  const logged: number[] = [];
  for await (const event of daemon.client.tasks.events(id)) logged.push((event as TaskEvent).seq);
  await waitFor(async () => (await page.locator(".raw").count()) === logged.length);
  assert.deepEqual(await drawn(page), logged);
  assert.deepEqual(
    logged,
    logged.map((_, index) => index + 1),
  );
  await opened.close();
});

test("of a hundred thousand events what is seen is drawn, and each is reached", async () => {
  await replaceLog(daemon, done, manyEvents(100_000));
  const opened = await openDashboard(browser, daemon, `/tasks/${done}`);
  const { page } = opened;
  await page.getByText("100,000 events").waitFor();
  assert.ok((await drawn(page)).length < 60, "rows are drawn as they are seen");
  assert.equal((await drawn(page))[0], 1);
  await list(page).focus();
  await page.keyboard.press("End");
  await page.getByText("Finished: completed").waitFor();
  assert.ok((await drawn(page)).length < 60);
  await page.getByRole("searchbox", { name: "Search the log" }).fill("needle-50002");
  await page.locator(".block-current", { hasText: "needle-50002" }).waitFor();
  assertQuiet(opened);
  await opened.close();
});
