import type { Command } from "commander";
import type { DaemonClient } from "../../client/daemon-client.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { openBrowser } from "../../platform/browser.ts";
import { openContext } from "../context.ts";
import { printJson } from "../output.ts";

/** Where it listens unless it does already; a free port of the system's when another program has this one. */
const ADDRESS = "127.0.0.1:9600";
const ANY_PORT = "127.0.0.1:0";

export function addDashboard(program: Command): void {
  const command = program
    .command("dashboard")
    .summary("open the dashboard in a browser")
    .description(
      `Open the dashboard in a browser, signed in. The daemon listens on ${ADDRESS} from then on, unless it listens elsewhere already. The address that is printed is good for one login, within five minutes.`,
    )
    .option("--no-open", "print the address only")
    .action(async ({ open }: { open: boolean }) => {
      if (process.env.FIREBREAK_URL)
        throw new FirebreakError("INVALID_ARGUMENT", "FIREBREAK_URL names a daemon elsewhere", {
          hint: "Open that address in a browser and sign in with an API key, or run 'firebreak dashboard' on its host.",
        });
      const { client, asJson } = await openContext(command);
      await makeListen(client);
      const { url, expiresAt } = await client.sessions.createCode();
      if (url === undefined) {
        const why = (await client.status()).listen?.error ?? "it does not listen on TCP";
        throw new FirebreakError("DAEMON_NOT_LISTENING", `the dashboard cannot be reached: ${why}`, {
          hint: `Choose an address: firebreak daemon start --listen ${ADDRESS}`,
        });
      }
      const isTerminal = process.stdout.isTTY === true && !asJson;
      const isOpened = open && isTerminal && (await openBrowser(url));
      if (asJson) return printJson({ url, expiresAt, opened: isOpened });
      process.stdout.write(`${url}\n`);
      if (isTerminal)
        process.stderr.write(
          isOpened ? "It has been opened in your browser.\n" : "Open it in a browser; it is good for one login.\n",
        );
    });
}

async function makeListen(client: DaemonClient): Promise<void> {
  if ((await client.status()).listen !== undefined) return;
  try {
    await client.listen({ address: ADDRESS });
  } catch (error) {
    if (!(error instanceof FirebreakError) || error.code !== "LISTEN_FAILED") throw error;
    const { url } = await client.listen({ address: ANY_PORT });
    // The next daemon is to be found where this one is.
    if (url !== undefined) await client.listen({ address: new URL(url).host });
  }
}
