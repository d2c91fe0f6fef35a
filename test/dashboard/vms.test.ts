import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import type { Vm } from "../../src/contract/vm.ts";
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
import { waitFor, waitForVmState } from "../support/wait-for.ts";

/** The pages of VMs, in a real browser against real VMs. */

let daemon: DaemonFixture;
let browser: Browser;
let dashboard: DashboardPage;
let page: Page;
let port: number;
const web = createServer((_request, response) => void response.end("hello from the host"));

before(async () => {
  daemon = await startDaemonFixture();
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  port = (web.address() as AddressInfo).port;
  const policy = path.join(daemon.folder, "policy.json");
  await writeFile(policy, JSON.stringify({ mode: "allowlist", allow: [], hosts: { "web.test": "127.0.0.1" } }));
  await daemon.ok("vm", "create", "web", "--policy", policy, "--label", "team=red");
  browser = await startBrowser();
  dashboard = await openDashboard(browser, daemon, "/vms");
  page = dashboard.page;
});
after(async () => {
  web.close();
  await browser?.close();
  await daemon.close();
});

const sh = (script: string, vm = "web") => daemon.cli(["vm", "exec", vm, "--", "bash", "-c", script]);
const open = (to: string) => page.goto(`${dashboard.origin}${to}`);
const tab = (name: string) => page.getByRole("tab", { name });
const button = (name: string) => page.getByRole("button", { name, exact: true });
const inDialog = () => page.getByRole("dialog");

test("VMs are listed with their state, and a row leads to the VM", async () => {
  await open("/vms");
  const row = page.getByRole("row", { name: /web/ });
  await row.getByText("running").waitFor();
  await assertAccessible(page);
  await screenshot(page, "vms-dark");
  await page.getByRole("searchbox", { name: "Filter VMs" }).fill("nothing is like this");
  await page.getByText("No VM is like that").waitFor();
  await page.getByRole("searchbox", { name: "Filter VMs" }).fill("we");
  await row.getByRole("link", { name: "web" }).click();
  await page.getByRole("heading", { name: "web", level: 1 }).waitFor();
  await page.getByText("team=red").waitFor();
  // Its figures come with the second answer.
  await page.getByText(/load \d/).waitFor();
  await page.getByRole("img", { name: /CPU over time, now \d+ %/ }).waitFor();
  await assertAccessible(page);
  await screenshot(page, "vm-overview-dark");
  assertQuiet(dashboard);
});

test("a shell is typed into, goes on behind other tabs, and has the size of its place", async () => {
  await open("/vms/web/terminal");
  const rows = page.locator(".xterm-rows");
  const typeLine = async (line: string) => {
    await page.keyboard.type(line);
    await page.keyboard.press("Enter");
  };
  const shows = (text: string) => rows.getByText(text).first().waitFor();
  await page.getByText("open", { exact: true }).waitFor();
  await shows("root@");
  await typeLine("printf 'sum-%s\\n' $((40 + 2)); cd /tmp");
  await shows("sum-42");
  await typeLine("printf '\\033[38;2;255;100;200mpink\\033[0m \\033[32mgreen\\033[0m\\n'; stty size | sed s/^/size-/");
  await rows
    .getByText(/size-\d/)
    .first()
    .waitFor();
  const shown = /size-(\d+) (\d+)/.exec((await rows.textContent()) ?? "");
  const counts = await rows.locator("> div").count();
  assert.equal(Number(shown?.[1]), counts, "rows");
  assert.ok(Number(shown?.[2]) > 80, "columns");
  const colour = await rows
    .getByText("pink", { exact: true })
    .last()
    .evaluate((element) => Reflect.get(globalThis, "getComputedStyle")(element).color);
  assert.equal(colour, "rgb(255, 100, 200)", "colours get through the content security policy");
  await assertAccessible(page);
  await screenshot(page, "vm-terminal-dark");
  await tab("Events").click();
  await page.getByRole("table", { name: "Events of web" }).getByText("created").first().waitFor();
  await tab("Terminal").click();
  await typeLine("pwd | sed s/^/still-in-/");
  await shows("still-in-/tmp");
  await page.keyboard.press("Control+Shift+Escape");
  await page.getByRole("button", { name: "New shell" }).and(page.locator(":focus")).waitFor();
  await tab("Terminal").click();
  await page.locator(".xterm-helper-textarea").focus();
  await typeLine("exit 7");
  await page.getByText("The shell has ended with 7").waitFor();
  await button("New shell").click();
  await page.getByText("open", { exact: true }).waitFor();
  assertQuiet(dashboard);
});

test("a shell ends with its page", async () => {
  await open("/vms/web/terminal");
  await page.getByText("open", { exact: true }).waitFor();
  await page.locator(".xterm-rows").getByText("root@").first().waitFor();
  await page.keyboard.type("exec -a left-behind sleep 1000\n");
  const isThere = async () => (await sh("pgrep -f '^left-behind'")).exitCode === 0;
  await waitFor(isThere);
  await open("/vms");
  await waitFor(async () => !(await isThere()));
});

test("a policy that is edited holds at once", async () => {
  const reach = async () => (await sh(`curl -sS -m 20 http://web.test:${port}/`)).stdout;
  assert.equal(await reach(), "");
  await open("/vms/web/egress");
  const denied = page.getByRole("table", { name: "Egress of web" }).getByRole("row", { name: /denied.*web\.test/ });
  await denied.first().waitFor();
  await assertAccessible(page);
  await screenshot(page, "vm-egress-dark");
  await tab("Overview").click();
  await button("Edit the policy").click();
  const allowed = inDialog().getByRole("textbox", { name: "Allowed" });
  await allowed.fill("{ not a rule");
  await inDialog().getByRole("button", { name: "Set the policy" }).click();
  await inDialog().getByRole("alert").waitFor();
  await allowed.fill(JSON.stringify({ host: "web.test", ports: String(port), private: true }));
  await assertAccessible(page);
  await screenshot(page, "vm-policy-dark");
  await inDialog().getByRole("button", { name: "Set the policy" }).click();
  await inDialog().waitFor({ state: "hidden" });
  await page.getByRole("region", { name: "Policy" }).getByText(`web.test:${port} (private)`).waitFor();
  assert.equal(await reach(), "hello from the host");
  const { network } = await daemon.client.vms.get("web");
  assert.deepEqual(network.hosts, { "web.test": "127.0.0.1" }, "what the form does not show is kept");
  await tab("Egress").click();
  await page
    .getByRole("row", { name: /allowed.*web\.test/ })
    .first()
    .waitFor();
});

test("the console shows what is there and what comes", async () => {
  await sh("echo before-the-page > /dev/console");
  await open("/vms/web/console");
  const output = page.getByRole("log", { name: "Console of web" });
  await output.getByText("before-the-page").waitFor();
  await sh("echo while-it-is-open > /dev/console");
  await output.getByText("while-it-is-open").waitFor();
  await assertAccessible(page);
  await screenshot(page, "vm-console-dark");
});

test("files are looked at, uploaded, downloaded and deleted", async () => {
  const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP432ULAARSAcc8PFCNAAAAAElFTkSuQmCC";
  await sh(`mkdir -p /root/work/deep && echo 'first line' > /root/work/note.txt && echo ${png} | base64 -d > /root/work/dot.png &&
    head -c 3000 /dev/zero > /root/work/zero.bin && ln -s note.txt /root/work/link`);
  await open("/vms/web/files");
  await button("work").click();
  const table = page.getByRole("table", { name: "Files in /root/work" });
  await table.getByText("note.txt", { exact: true }).waitFor();
  await assertAccessible(page);
  await screenshot(page, "vm-files-dark");
  await button("note.txt").click();
  await inDialog().getByText("first line").waitFor();
  await assertAccessible(page);
  const downloading = page.waitForEvent("download");
  await inDialog()
    .getByRole("link", { name: /^Download/ })
    .click();
  const download = await downloading;
  assert.equal(download.suggestedFilename(), "note.txt");
  assert.equal(await readFile(await download.path(), "utf8"), "first line\n");
  await inDialog().getByRole("button", { name: "Close" }).click();
  await button("dot.png").click();
  const image = inDialog().getByRole("img", { name: "dot.png" });
  await waitFor(async () => (await image.evaluate((element) => Reflect.get(element, "naturalWidth"))) === 1);
  await inDialog().getByRole("button", { name: "Close" }).click();
  await button("zero.bin").click();
  await inDialog().getByText("It is no text").waitFor();
  await inDialog().getByRole("button", { name: "Close" }).click();
  await page.getByLabel("Files to upload").setInputFiles([
    { name: "up.bin", mimeType: "application/octet-stream", buffer: Buffer.from([0, 1, 2, 255]) },
    { name: "ünï & <b>.txt", mimeType: "text/plain", buffer: Buffer.from("odd name") },
  ]);
  await button("ünï & <b>.txt").waitFor();
  assert.equal(
    (await sh("od -An -tx1 /root/work/up.bin; cat '/root/work/ünï & <b>.txt'")).stdout,
    " 00 01 02 ff\nodd name",
  );
  await button("Folder").click();
  await inDialog().getByRole("textbox", { name: "Name" }).fill("made");
  await inDialog().getByRole("button", { name: "Make the folder" }).click();
  await button("made").waitFor();
  await button("Delete up.bin").click();
  await inDialog().getByRole("button", { name: "Delete", exact: true }).click();
  await button("up.bin").waitFor({ state: "detached" });
  assert.equal((await sh("ls /root/work")).stdout, "deep\ndot.png\nlink\nmade\nnote.txt\nzero.bin\nünï & <b>.txt\n");
  await button("Up to the folder above").click();
  await button("work").waitFor();
  await page.getByRole("textbox", { name: "Folder" }).fill("/nowhere");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("FILE_NOT_FOUND").waitFor();
});

test("a VM is forked from the tree of snapshots, and goes on with the memory that it had then", async () => {
  const { stdout: exec } = await daemon.ok("vm", "exec", "web", "--detach", "--", "sleep", "10000");
  await open("/vms/web/snapshots");
  const take = async (name: string) => {
    await button("Take a snapshot").click();
    await inDialog().getByRole("textbox", { name: "Name" }).fill(name);
    await inDialog().getByRole("button", { name: "Take the snapshot" }).click();
    await inDialog().waitFor({ state: "hidden" });
    await button(`Fork ${name}`).waitFor();
  };
  await take("first");
  await sh("echo later > /root/later");
  await take("second");
  const inner = page.locator(".tree .tree").getByText("second", { exact: true });
  await inner.waitFor();
  await button("Fork first").click();
  await inDialog().getByRole("textbox", { name: "Name" }).fill("twin");
  await inDialog().getByRole("button", { name: "Fork", exact: true }).click();
  await page.getByRole("heading", { name: "twin", level: 1 }).waitFor();
  await waitForVmState(daemon.client, "twin", "running");
  const running = await daemon.client.execs.list("twin");
  assert.ok(
    running.some(({ id, state }) => id === exec.trim() && state === "running"),
    JSON.stringify(running),
  );
  assert.notEqual((await sh("cat /root/later", "twin")).exitCode, 0);
  assert.equal((await sh("cat /root/later", "web")).stdout, "later\n");
  await open("/vms/web/snapshots");
  await page.getByRole("list", { name: "VMs of first" }).getByRole("link", { name: "twin" }).waitFor();
  await assertAccessible(page);
  await screenshot(page, "vm-snapshots-dark");
  await daemon.ok("vm", "delete", "twin");
});

test("a VM is paused, stopped, started and deleted, each after a question where something is lost", async () => {
  await daemon.ok("vm", "create", "brief");
  await open("/vms/brief");
  const state = async (name: Vm["state"]) => {
    await page.locator(".page-title").getByText(name, { exact: true }).waitFor();
    assert.equal((await daemon.client.vms.get("brief")).state, name);
  };
  await button("Pause").click();
  await state("paused");
  await button("Resume").click();
  await state("running");
  await button("Suspend").click();
  await state("suspended");
  await tab("Files").click();
  await page.getByText("Bring it back to look at its files").waitFor();
  await state("suspended");
  await button("Resume").click();
  await state("running");
  await button("Stop").click();
  await inDialog().getByRole("button", { name: "Back" }).click();
  await state("running");
  await button("Stop").click();
  await assertAccessible(page);
  await inDialog().getByRole("button", { name: "Stop", exact: true }).click();
  await state("stopped");
  await button("Start").click();
  await state("running");
  await button("Delete").click();
  await screenshot(page, "vm-delete-dark");
  await inDialog().getByRole("button", { name: "Delete the VM" }).click();
  await page.getByRole("heading", { name: "VMs", level: 1 }).waitFor();
  await page.getByRole("link", { name: "brief" }).waitFor({ state: "detached" });
  await assert.rejects(daemon.client.vms.get("brief"));
  await open("/vms/brief");
  await page.getByText("There is no such VM").waitFor();
});

test("a VM is made, and its page opens", async () => {
  await open("/vms");
  await button("New VM").click();
  await inDialog().getByRole("textbox", { name: "Name" }).fill("fresh");
  await assertAccessible(page);
  await screenshot(page, "vm-new-dark");
  await inDialog().getByRole("button", { name: "Make the VM" }).click();
  await page.getByRole("heading", { name: "fresh", level: 1 }).waitFor();
  await daemon.ok("vm", "delete", "fresh");
});

for (const [name, options] of [
  ["light", { theme: "light" }],
  ["phone", { viewport: PHONE }],
] as const) {
  test(`the pages of a VM are as good: ${name}`, async () => {
    const other = await openDashboard(browser, daemon, "/vms", options);
    await other.page.getByRole("row", { name: /web/ }).waitFor();
    for (const part of ["", "overview", "terminal", "console", "files", "snapshots", "events", "egress"]) {
      await other.page.goto(`${other.origin}/vms${part === "" ? "" : `/web/${part}`}`);
      await other.page
        .getByRole(part === "" ? "row" : "tabpanel")
        .first()
        .waitFor();
      await other.page.locator(".loading").waitFor({ state: "detached" });
      if (part === "terminal") await other.page.locator(".xterm-rows").getByText("root@").first().waitFor();
      if (part === "events" || part === "egress") await assertTableReadable(other.page);
      await assertNoOverflow(other.page);
      await assertAccessible(other.page);
      await screenshot(other.page, `vm${part === "" ? "s" : `-${part}`}-${name}`);
    }
    assertQuiet(other);
    await other.close();
  });
}

/** All words of a list's last column that is shown are there, and on the screen: on a phone, too, why something was denied. */
async function assertTableReadable(shown: Page): Promise<void> {
  const cut = await shown.evaluate(`(() => {
    const cells = [...document.querySelectorAll(".table td")].filter((cell) => cell.offsetParent !== null);
    const isCut = (cell) => cell.scrollWidth > cell.clientWidth + 1 || cell.getBoundingClientRect().right > innerWidth;
    return cells.filter((cell) => innerWidth < 760 && isCut(cell)).map((cell) => cell.textContent);
  })()`);
  assert.deepEqual(cut, []);
  if (shown.url().endsWith("/egress"))
    await shown
      .getByRole("row", { name: /denied/ })
      .getByText(/no rule/)
      .filter({ visible: true })
      .first()
      .waitFor();
}
