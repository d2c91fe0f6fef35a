import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import {
  assertAccessible,
  assertNoOverflow,
  assertQuiet,
  openDashboard,
  PHONE,
  screenshot,
  startBrowser,
} from "../support/browser.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { fixtureProgram, vmServer } from "../support/mcp-servers/fixture-server.ts";

/** The page of secrets: where they are used, and never a value. */

const VALUE = "very-secret-value-4711";
let daemon: DaemonFixture;
let browser: Browser;
before(async () => {
  daemon = await startDaemonFixture();
  const set = async (...args: string[]) => {
    const { exitCode, stderr } = await daemon.cli(["secret", "set", ...args], { input: VALUE });
    assert.equal(exitCode, 0, stderr);
  };
  await set("MODEL_KEY", "--host", "api.example.org", "--host", "*.models.example.org");
  await set("UNUSED");
  await daemon.ok("vm", "create", "agent", "--allow", "api.example.org", "--secret", "MODEL_KEY");
  await daemon.client.servers.apply({
    source: "e2e",
    servers: [vmServer("echo", fixtureProgram("legacy"), { secrets: [{ name: "MODEL_KEY" }] })],
  });
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await daemon.close();
});

for (const [name, options] of [
  ["dark", { theme: "dark" }],
  ["light", { theme: "light" }],
  ["phone", { viewport: PHONE }],
] as const) {
  test(`secrets are told by name, with hosts and users, and without values: ${name}`, async () => {
    const dashboard = await openDashboard(browser, daemon, "/", options);
    const { page } = dashboard;
    const answers: Promise<string>[] = [];
    page.on("response", (response) => void answers.push(response.text().catch(() => "")));
    await page.goto(`${dashboard.origin}/secrets`);
    const secret = page.getByRole("article", { name: "MODEL_KEY" });
    await secret.getByText("api.example.org", { exact: true }).waitFor();
    await secret.getByText("*.models.example.org").waitFor();
    await secret.getByRole("link", { name: "echo" }).waitFor();
    await page.getByRole("article", { name: "UNUSED" }).getByText("none").first().waitFor();
    await assertAccessible(page);
    await assertNoOverflow(page);
    await screenshot(page, `secrets-${name}`);
    await secret.getByRole("link", { name: "agent" }).click();
    await page.getByRole("region", { name: "Policy" }).getByText("MODEL_KEY", { exact: true }).waitFor();
    const texts = await Promise.all(answers);
    assert.ok(texts.some((text) => text.includes("MODEL_KEY")));
    assert.ok(!texts.some((text) => text.includes(VALUE)), "no answer has a value");
    assertQuiet(dashboard);
    await dashboard.close();
  });
}

test("a page that fails is told of in its place, and the others go on", async () => {
  const dashboard = await openDashboard(browser, daemon, "/");
  const { page } = dashboard;
  await page.route("**/v1/secrets", (route) => route.fulfill({ json: { secrets: [{ name: "WITHOUT_HOSTS" }] } }));
  await page.getByRole("link", { name: "Secrets" }).click();
  await page.getByRole("alert").getByText("this page has failed").waitFor();
  await page.getByRole("link", { name: "Audit" }).click();
  await page.getByRole("heading", { name: "Audit", level: 1 }).waitFor();
  await dashboard.close();
});

test("a vault without secrets says how one is set", async () => {
  await daemon.ok("vm", "delete", "agent");
  await daemon.client.servers.apply({ source: "e2e", servers: [] });
  for (const name of ["MODEL_KEY", "UNUSED"]) await daemon.client.secrets.delete(name, true);
  const dashboard = await openDashboard(browser, daemon, "/secrets");
  await dashboard.page.getByText("No secrets yet").waitFor();
  await dashboard.close();
});
