import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import {
  assertAccessible,
  assertNoOverflow,
  assertQuiet,
  DESKTOP,
  openDashboard,
  PHONE,
  screenshot,
  startBrowser,
} from "../support/browser.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { addToldAgent, EXAMPLE_DIFF, examplePng, exampleWork, says, toldTask } from "../support/told-agent.ts";

/** Every page as people see it: in both themes and on a phone, for those who use a screen reader too. The screenshots are this run's output. */

let daemon: DaemonFixture;
let browser: Browser;
let done: string;
let live: string;
before(async () => {
  daemon = await startDaemonFixture();
  browser = await startBrowser();
  await addToldAgent(daemon);
  const files = {
    "report.md": "# Report\n\nThe rule for centuries was missing.\n",
    "coverage.png": examplePng(),
    "numbers/results.json": '{"passed": 91}\n',
    "workspace.diff": EXAMPLE_DIFF,
  };
  const { tasks } = daemon.client;
  const first = await tasks.create(
    toldTask("Fix the failing test of the date parser", exampleWork(), { files, labels: { team: "web" } }),
  );
  done = first.id;
  await tasks.wait(done, 300_000);
  // Something that is denied, and a failure.
  const denied = "for i in 1 2 3; do curl -s -m 5 http://tracker.example/; done; echo tests failed >&2; exit 3";
  const second = await tasks.create({
    agent: "command",
    argv: ["sh", "-c", denied],
    name: "nightly build",
    network: { mode: "allowlist", allow: ["registries"] },
  });
  await tasks.wait(second.id, 300_000);
  const third = await tasks.create(
    toldTask("Write a changelog for the next release", exampleWork([says.waitFor("/root/never")])),
  );
  live = third.id;
});
after(async () => {
  await browser.close();
  await daemon.close();
});

/** Pages by the name of their screenshot: where they are, and what is there once they are whole. */
const PAGES: { name: string; path: () => string; show: (page: Page) => Promise<unknown> }[] = [
  {
    name: "overview",
    path: () => "/",
    show: async (page) => {
      await page.getByRole("table", { name: "Latest tasks" }).waitFor();
      await page.getByRole("table", { name: "Usage by agent" }).waitFor();
      await page.locator(".chart-line").first().waitFor({ state: "attached" });
    },
  },
  { name: "tasks", path: () => "/tasks", show: (page) => page.getByRole("table", { name: "Tasks" }).waitFor() },
  {
    name: "new-task",
    path: () => "/tasks?new",
    show: async (page) => {
      const form = page.getByRole("dialog", { name: "New task" });
      await form.getByLabel("Agent").selectOption("coder");
      await form.getByText("Machine", { exact: true }).click();
    },
  },
  {
    name: "task-live",
    path: () => `/tasks/${live}`,
    show: async (page) => {
      await page.getByText("src/calendar.ts has been updated").waitFor({ timeout: 180_000 });
      await page.getByText("live", { exact: true }).waitFor();
    },
  },
  { name: "task-log", path: () => `/tasks/${done}`, show: (page) => page.locator(".block-call").first().waitFor() },
  {
    name: "task-raw",
    path: () => `/tasks/${done}`,
    show: async (page) => {
      await page.getByRole("button", { name: "Raw" }).click();
      await page.locator(".raw").first().waitFor();
    },
  },
  {
    name: "task-files",
    path: () => `/tasks/${done}`,
    show: async (page) => {
      await page.getByRole("tab", { name: /Files/ }).click();
      await page.getByRole("img", { name: "coverage.png" }).waitFor();
    },
  },
  {
    name: "task-changes",
    path: () => `/tasks/${done}`,
    show: async (page) => {
      await page.getByRole("tab", { name: "Changes" }).click();
      await page.locator(".diff-add").first().waitFor();
    },
  },
  {
    name: "task-details",
    path: () => `/tasks/${done}`,
    show: async (page) => {
      await page.getByRole("tab", { name: "Details" }).click();
      await page.getByText("claude-sonnet-4-5: input").waitFor();
    },
  },
  {
    name: "no-page",
    path: () => "/tasks/none/such",
    show: (page) => page.getByText("There is no such page").waitFor(),
  },
  { name: "no-task", path: () => "/tasks/000000000000", show: (page) => page.getByText("TASK_NOT_FOUND").waitFor() },
];

for (const [look, theme, viewport] of [
  ["dark", "dark", DESKTOP],
  ["light", "light", DESKTOP],
  ["phone", "dark", PHONE],
  ["phone-light", "light", PHONE],
] as const)
  test(`all pages are in order: ${look}`, async () => {
    const opened = await openDashboard(browser, daemon, "/", { theme, viewport });
    const { page, origin, strangers, complaints } = opened;
    for (const { name, path, show } of PAGES) {
      await page.goto(origin + path());
      await show(page);
      await screenshot(page, `${name}-${look}`);
      await assertAccessible(page);
      await assertNoOverflow(page);
    }
    // A task that there is not is answered so, and the browser says that.
    const real = complaints.filter((text) => !text.includes("404 (Not Found)"));
    assertQuiet({ ...opened, complaints: real });
    assert.deepEqual(strangers, []);
    await opened.close();
  });
