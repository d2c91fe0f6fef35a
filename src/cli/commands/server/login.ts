import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";
import type { Server, ServerLoginBegun } from "../../../contract/server.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { openBrowser } from "../../../platform/browser.ts";
import { type CliContext, openContext } from "../../context.ts";
import { LoopbackReturn } from "../../loopback-return.ts";
import { printJson } from "../../output.ts";
import { printServer } from "./get.ts";

const WAIT_MS = 10 * 60_000;

interface LoginFlags {
  browser: boolean;
  port: number;
}

export function addServerLogin(parent: Command): void {
  const command = parent
    .command("login")
    .summary("log in at an MCP server that runs elsewhere (OAuth)")
    .description(
      "Log in at an MCP server that runs elsewhere: prints where to go, opens it in a browser where there is one, and waits for the browser to come back to this host. Tokens are kept in the vault, and renewed as they end. With --no-browser, the address that a browser on another machine ends at may be pasted here instead. The address to go to is printed on standard error.",
    )
    .argument("<server>", "name")
    .option("--no-browser", "only print where to go; take the address that a browser ends at from standard input, too")
    .option("--port <port>", "come back to this port, for a client id that is registered for it", parsePort, 0)
    .action(async (name: string, flags: LoginFlags) => {
      const context = await openContext(command);
      const server = await logIn(context, name, flags).finally(() => context.progress.clear());
      if (context.asJson) return printJson(server);
      printServer(server);
    });
}

async function logIn({ client, progress }: CliContext, name: string, { browser, port }: LoginFlags): Promise<Server> {
  const onProgress = progress.update;
  const back = await LoopbackReturn.open(port);
  const giveUp = new AbortController();
  try {
    const begun = await client.servers.beginLogin(name, { redirectUri: back.redirectUri }, { onProgress });
    progress.clear();
    const { authorizationUrl, state } = begun;
    if (authorizationUrl === undefined || state === undefined)
      return await client.servers.prepare(name, { onProgress });
    const isShown = browser && (await openBrowser(authorizationUrl));
    process.stderr.write(describe(begun, isShown));
    progress.update({ step: "wait", message: "waiting for the login in the browser" });
    const callback = await Promise.race([
      back.wait(state),
      ...(browser ? [] : [pasted(state, giveUp.signal)]),
      tooLate(giveUp.signal),
    ]);
    const server = await client.servers.finishLogin(name, { callback }, { onProgress });
    back.tell(`Logged in at '${name}'. This window can be closed.`);
    return server;
  } catch (thrown) {
    back.tell("The login failed; the command that it was for says why.");
    throw thrown;
  } finally {
    giveUp.abort();
    back.close();
  }
}

function describe({ issuer, scopes, authorizationUrl }: ServerLoginBegun, isShown: boolean): string {
  const what = scopes.length === 0 ? "" : `, which asks for: ${scopes.join(" ")}`;
  return `${isShown ? "A browser shows" : "Open in a browser"} the login of ${issuer}${what}\n  ${authorizationUrl}\n`;
}

/** The address of a page that cannot be shown, since the browser is on another machine. */
function pasted(state: string, signal: AbortSignal): Promise<string> {
  const lines = createInterface({ input: process.stdin });
  signal.addEventListener("abort", () => {
    lines.close();
    process.stdin.unref?.();
  });
  return new Promise((resolve) => {
    lines.on("line", (line) => {
      const text = line.trim();
      if (text === "") return;
      const query = URL.canParse(text) ? new URL(text).searchParams : undefined;
      if (query?.get("state") === state) resolve(query.toString());
      else process.stderr.write("that is not the address that this login ends at\n");
    });
  });
}

async function tooLate(signal: AbortSignal): Promise<never> {
  // Until then whoever waits for the browser has long been answered.
  await sleep(WAIT_MS, undefined, { signal }).catch(() => new Promise<never>(() => {}));
  throw new FirebreakError("DEADLINE_EXCEEDED", `nobody has logged in within ${WAIT_MS / 60_000} minutes`);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port > 0 && port < 65_536) return port;
  throw new InvalidArgumentError("a port is from 1 to 65535");
}
