import type { Command } from "commander";
import type { DaemonClient } from "../../client/daemon-client.ts";
import type { ImageInfo } from "../../contract/image.ts";
import { isRegistryReference, parseImageReference, placeName } from "../../contract/image-reference.ts";
import type { Server } from "../../contract/server.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { askYes } from "../ask.ts";
import { openContext } from "../context.ts";
import { formatBytes, printJson } from "../output.ts";

/** What there was of servers, and is not any more. */
interface Purged {
  servers: string[];
  vms: string[];
  snapshots: string[];
  images: string[];
  freedBytes: number;
}

export function addPurge(program: Command): void {
  const command = program
    .command("purge")
    .summary("delete all MCP servers and what was made for them")
    .description(
      "Delete all MCP servers: their VMs, the machines that they were saved as, and the images that were pulled for them and that nothing else uses. What they have changed in copies of this host's directories comes back first. Configuration files, approvals, secrets and other VMs stay.",
    )
    .option("-y, --yes", "without asking")
    .action(async ({ yes }: { yes?: boolean }) => {
      const { client, asJson } = await openContext(command);
      const servers = await client.servers.list();
      if (servers.length === 0) {
        if (asJson) return printJson({ servers: [], vms: [], snapshots: [], images: [], freedBytes: 0 });
        return void process.stdout.write("There are no MCP servers.\n");
      }
      if (!asJson) for (const { name, source } of servers) process.stdout.write(`${name}  ${source}\n`);
      if (!yes && !(await askYes(`Delete these ${servers.length}?`, "Delete without asking: --yes"))) return;
      const purged = await purge(client, servers);
      if (asJson) return printJson(purged);
      const count = (what: string, names: string[]) => `${names.length} ${what}${names.length === 1 ? "" : "s"}`;
      process.stdout.write(
        `deleted ${count("server", purged.servers)}, ${count("VM", purged.vms)}, ${count("saved machine", purged.snapshots)} and ${count("image", purged.images)}: ${formatBytes(purged.freedBytes)} freed\n`,
      );
    });
}

async function purge(client: DaemonClient, servers: Server[]): Promise<Purged> {
  const before = await client.snapshots.list();
  const named = new Set(servers.flatMap(({ config }) => (config.kind === "vm" ? namesOf(config.image) : [])));
  const pulled = (await client.images.list()).filter((image) => image.recipe === "pull" && isNamed(image, named));
  // What has not come back of a server's copies keeps all of them.
  for (const { name } of servers) await client.servers.stop(name);
  for (const source of new Set(servers.map((server) => server.source)))
    await client.servers.apply({ source, servers: [] });
  const left = new Set((await client.snapshots.list()).map(({ id }) => id));
  const gone = before.filter(({ id }) => !left.has(id));
  const images = [];
  for (const { digest } of pulled) {
    const deleted = await client.images.delete(digest, true).catch((thrown: unknown) => {
      if (thrown instanceof FirebreakError && thrown.code === "IMAGE_IN_USE") return undefined;
      throw thrown;
    });
    if (deleted !== undefined) images.push(deleted);
  }
  const sum = (sizes: number[]) => sizes.reduce((total, size) => total + size, 0);
  return {
    servers: servers.map(({ name }) => name),
    vms: servers.flatMap(({ vms }) => vms),
    snapshots: gone.map(({ name, id }) => name ?? id),
    images: images.map(({ deleted }) => deleted),
    freedBytes: sum(gone.map(({ sizeBytes }) => sizeBytes)) + sum(images.map(({ freedBytes }) => freedBytes)),
  };
}

/** What an image that a configuration names may be called here. */
function namesOf(image: string | undefined): string[] {
  if (image === undefined) return [];
  return isRegistryReference(image) ? [image, placeName(parseImageReference(image))] : [image];
}

function isNamed({ name, tags, source }: ImageInfo, named: ReadonlySet<string>): boolean {
  return [name, ...tags, source?.reference ?? ""].some((each) => named.has(each));
}
