import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import {
  assertAccessible,
  assertNoOverflow,
  assertQuiet,
  type DashboardPage,
  openDashboard,
  screenshot,
  startBrowser,
} from "../support/browser.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { assertNotInjected, INJECTIONS } from "../support/injection.ts";

/** A VM that says nothing but markup, escape sequences and lines of a megabyte, wherever the dashboard shows something of it. */

let daemon: DaemonFixture;
let browser: Browser;
let dashboard: DashboardPage;
let page: Page;

/** Titles, links, the clipboard, a mode in which nothing is seen, and half a sequence. */
const ESCAPES = [
  "\u001b]0;taken over\u0007",
  "\u001b]8;;javascript:window.injected=1\u001b\\link\u001b]8;;\u001b\\",
  "\u001b]52;c;aGFja2Vk\u0007",
  "\u001b[8mhidden\u001b[0m\u001b[?25l",
  "\u001bP+q544e\u001b\\\u001b[",
].join("");
const FILE_NAMES = [
  ...INJECTIONS.map((word) => word.replaceAll("/", "\u2215")),
  "two\nlines\tand tabs",
  "\u202egpj.exe",
  "\u001b[31mred\u001b]0;title\u0007",
  "n".repeat(255),
];

before(async () => {
  daemon = await startDaemonFixture();
  await daemon.ok("vm", "create", "evil", "--label", `words=${INJECTIONS[0]}`);
  const text = [...INJECTIONS, ESCAPES, "M".repeat(1024 * 1024), "after it all", ""].join("\n");
  await daemon.client.files.write("evil", "/root/words.html", text, {});
  await daemon.ok("vm", "exec", "evil", "--", "mkdir", "/root/names");
  for (const name of FILE_NAMES)
    await daemon.client.files.write("evil", `/root/names/${name}`, text.slice(0, 2_000), {});
  await sh('cd /root/names && touch "$(printf \'no-utf-\\377-8\')" && ln -s "$(cat ../words.html | head -n 1)" link');
  await sh("cat /root/words.html > /dev/console");
  browser = await startBrowser();
  dashboard = await openDashboard(browser, daemon, "/vms/evil");
  page = dashboard.page;
});
after(async () => {
  await browser?.close();
  await daemon.close();
});

async function sh(script: string): Promise<void> {
  await daemon.ok("vm", "exec", "evil", "--", "bash", "-c", script);
}
const open = (to: string) => page.goto(`${dashboard.origin}/vms/evil/${to}`);

test("labels that are markup are text", async () => {
  await page.getByText(`words=${INJECTIONS[0]}`, { exact: true }).waitFor();
  await assertNotInjected(page);
  await assertNoOverflow(page);
});

test("a console that is markup, escapes and a line of a megabyte is text", async () => {
  await open("console");
  const output = page.getByRole("log");
  await output.getByText("after it all").waitFor();
  // The newest end: what comes before the long line is in the download.
  assert.match((await output.textContent()) ?? "", /M{4000}… \(\d+ more characters in this line\)/);
  for (const word of INJECTIONS) await sh(`printf '%s\\n' ${quote(word)} > /dev/console`);
  await sh(`printf '%s\\n' ${quote(`${ESCAPES}end of escapes`)} > /dev/console`);
  for (const word of INJECTIONS) await output.getByText(word).waitFor();
  await output.getByText("of escapes").waitFor();
  assert.doesNotMatch((await output.textContent()) ?? "", /taken over|aGFja2Vk|javascript:window\.injected=1/);
  await assertNotInjected(page);
  await assertNoOverflow(page);
  await screenshot(page, "vm-hostile-console-dark");
});

test("file names that are markup, hidden or no UTF-8 are text, and the files are still reached", async () => {
  await open("files");
  await page.getByRole("textbox", { name: "Folder" }).fill("/root/names");
  await page.keyboard.press("Enter");
  const table = page.getByRole("table");
  await table.getByText("\\u{202e}gpj.exe").first().waitFor();
  await table.getByText("two\\nlines\\tand tabs").first().waitFor();
  await table.getByText("no-utf-").waitFor();
  await assertNotInjected(page);
  await assertNoOverflow(page);
  await assertAccessible(page);
  await screenshot(page, "vm-hostile-files-dark");
  for (const name of ["two\\nlines\\tand tabs", FILE_NAMES[0] as string]) {
    await page.getByRole("button", { name, exact: true }).click();
    await page
      .getByRole("dialog")
      .getByText(INJECTIONS[0] as string)
      .last()
      .waitFor();
    await assertNotInjected(page);
    const downloading = page.waitForEvent("download");
    await page
      .getByRole("dialog")
      .getByRole("link", { name: /^Download/ })
      .click();
    assert.equal(await (await downloading).failure(), null);
    await page.getByRole("button", { name: "Close", exact: true }).click();
  }
  assert.equal(await table.getByRole("button", { name: /no-utf/ }).count(), 0, "what has no name has no button");
});

test("a file that is markup with a line of a megabyte is text", async () => {
  await open("files");
  await page.getByRole("button", { name: "words.html", exact: true }).click();
  const dialog = page.getByRole("dialog");
  for (const word of INJECTIONS) await dialog.getByText(word).waitFor();
  await dialog.getByRole("button", { name: /^Show all/ }).click();
  await dialog.getByText(/more characters are not shown/).waitFor();
  await assertNotInjected(page);
  await assertNoOverflow(page);
  await screenshot(page, "vm-hostile-file-dark");
  // What is opened by itself is no page of the daemon's.
  const response = await page.request.get(`${dashboard.origin}/v1/vms/evil/file?path=/root/words.html`);
  assert.equal(response.headers()["content-type"], "application/octet-stream");
});

test("a terminal takes no title, clipboard or link of a guest's", async () => {
  await open("terminal");
  const rows = page.locator(".xterm-rows");
  await rows.getByText("root@").first().waitFor();
  await page.keyboard.type("cat words.html; stty sane; printf '\\033c'; echo all-''over\n");
  await rows.getByText("all-over").waitFor();
  await page.keyboard.type(
    `clear; printf '%b' '\\033]8;;javascript:window.injected=1\\033\\\\click-''here\\033]8;;\\033\\\\'\n`,
  );
  // What takes the clicks lies above the text.
  await rows.getByText("click-here").click({ modifiers: ["Control"], force: true });
  await assertNotInjected(page);
  await assertNoOverflow(page);
  await screenshot(page, "vm-hostile-terminal-dark");
  assertQuiet(dashboard);
});

const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
