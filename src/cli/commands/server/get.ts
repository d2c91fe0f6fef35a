import type { Command } from "commander";
import { describePolicy } from "../../../contract/policy.ts";
import { describeGrants } from "../../../contract/secret.ts";
import type { Server } from "../../../contract/server.ts";
import { stripControl } from "../../../platform/terminal-text.ts";
import { openContext } from "../../context.ts";
import { formatAge, printFacts, printJson } from "../../output.ts";

export function addServerGet(parent: Command): void {
  const command = parent
    .command("get")
    .alias("inspect")
    .description("Show one MCP server: where it comes from, what it may reach, and which tools it offers.")
    .argument("<server>", "name")
    .action(async (name: string) => {
      const { client, asJson } = await openContext(command);
      const server = await client.servers.get(name);
      if (asJson) return printJson(server);
      printServer(server);
    });
}

/** What a server says of itself may hold anything. */
export function printServer(server: Server): void {
  const { config, packages, protocol, implementation, preparedAt } = server;
  printFacts([
    ["name", server.name],
    ["state", server.reason === undefined ? server.state : `${server.state}: ${server.reason.split("\n")[0]}`],
    ["tried again", retryFact(server)],
    ["source", server.source],
    ...(config.kind === "vm"
      ? ([
          ["command", config.command.join(" ")],
          ["image", server.image === undefined ? config.image : `${server.image.name} (${server.image.digest})`],
          [
            "files",
            config.mounts.map(({ path, at, access, mode }) => `${path} at ${at} (${access}, ${mode})`).join("; ") ||
              "none of this host",
          ],
          ["network", describePolicy(config.network).join("; ")],
          ["secrets", describeGrants(config.secrets).join("; ") || undefined],
          [
            "size",
            `${config.memoryMib} MiB, ${config.cpus} CPU${config.cpus === 1 ? "" : "s"}, ${config.diskMib} MiB disk`,
          ],
        ] as [string, string | undefined][])
      : ([["url", config.url]] as [string, string][])),
    ["package", packages[0] === undefined ? undefined : `${packages[0].name} ${packages[0].version}`],
    [
      "server",
      implementation === undefined ? undefined : stripControl(`${implementation.name} ${implementation.version}`),
    ],
    ["protocol", protocol === undefined ? undefined : `${protocol.version} (${protocol.era})`],
    ["prepared", preparedAt === undefined ? undefined : `${preparedAt} (${formatAge(preparedAt)} ago)`],
    ["vms", server.vms.join(", ") || "none"],
    ["prompts", String(server.prompts)],
    ["resources", String(server.resources)],
    ["warnings", server.warnings.join("; ") || undefined],
  ]);
  for (const { as, description } of server.tools)
    process.stdout.write(`  ${as}  ${stripControl((description ?? "").split("\n")[0]?.slice(0, 100) ?? "")}\n`);
}

function retryFact({ name, state, retryAt }: Server): string | undefined {
  if (state !== "failed" || retryAt === undefined) return undefined;
  const waitMs = Date.parse(retryAt) - Date.now();
  const when = waitMs > 0 ? `by a call in ${Math.ceil(waitMs / 1_000)} s or later` : "by the next call";
  return `${when}; at once: firebreak server start ${name}`;
}
