import type { ListResourcesResult, ResourceTemplateType } from "@modelcontextprotocol/server";
import { ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/server";
import type { VmClient } from "../vm-client.ts";
import { ARTIFACTS_URI, artifactUri, consoleUri, SNAPSHOTS_URI, snapshotUri, VMS_URI, vmUri } from "./uri.ts";

const PAGE_SIZE = 100;
const JSON_TYPE = "application/json";

type Resource = ListResourcesResult["resources"][number];

/** What can be read with names that have to be filled in. */
export const RESOURCE_TEMPLATES: ResourceTemplateType[] = [
  {
    uriTemplate: "firebreak://vms/{vm}",
    name: "vm",
    title: "A VM",
    description: "State, size and origin of a VM, as JSON.",
    mimeType: JSON_TYPE,
  },
  {
    uriTemplate: "firebreak://vms/{vm}/console{?offset,length}",
    name: "console",
    title: "A VM's console log",
    description: "What the kernel and init of a VM print; without offset its end.",
    mimeType: "text/plain",
  },
  {
    uriTemplate: "firebreak://vms/{vm}/files/{+path}{?offset,length}",
    name: "file",
    title: "A file in a VM",
    description:
      "Bytes of a file (path without its first '/'), as text where they are UTF-8; at most 64 KiB unless length says more, up to 1 MiB. _meta has the size, and the URI of what comes next.",
  },
  {
    uriTemplate: "firebreak://vms/{vm}/execs/{exec}/output{?offset,length}",
    name: "output",
    title: "A command's output",
    description: "What the VM still holds of the output (stdout and stderr) of a command that runs or has run in it.",
    mimeType: "text/plain",
  },
  {
    uriTemplate: "firebreak://snapshots/{snapshot}",
    name: "snapshot",
    title: "A snapshot",
    description: "What a snapshot was taken of, when, and what it descends from, as JSON.",
    mimeType: JSON_TYPE,
  },
  {
    uriTemplate: "firebreak://artifacts/{artifact}{?offset,length}",
    name: "artifact",
    title: "An artifact",
    description: "What has been kept of a VM, by the page like a file in one; a directory is a tar.",
  },
];

/** A page of what there is, in a fixed order: VMs, snapshots and artifacts by name. */
export async function listResources(
  client: VmClient,
  cursor: string | undefined,
  signal: AbortSignal,
): Promise<ListResourcesResult> {
  const [vms, snapshots, artifacts] = await Promise.all([
    client.vms.list({ signal }),
    client.snapshots.list({ signal }),
    client.artifacts.list({ signal }),
  ]);
  const all: Resource[] = [
    { uri: VMS_URI, name: "vms", title: "All VMs", mimeType: JSON_TYPE },
    { uri: SNAPSHOTS_URI, name: "snapshots", title: "All snapshots", mimeType: JSON_TYPE },
    { uri: ARTIFACTS_URI, name: "artifacts", title: "All artifacts", mimeType: JSON_TYPE },
    ...byName(vms).flatMap(({ name }) => [
      { uri: vmUri(name), name: `vm ${name}`, title: `VM ${name}`, mimeType: JSON_TYPE },
      { uri: consoleUri(name), name: `console of ${name}`, title: `Console log of ${name}`, mimeType: "text/plain" },
    ]),
    ...byName(snapshots).map(({ name }) => ({
      uri: snapshotUri(name),
      name: `snapshot ${name}`,
      title: `Snapshot ${name}`,
      mimeType: JSON_TYPE,
    })),
    ...byName(artifacts).map(({ name, mediaType, sizeBytes }) => ({
      uri: artifactUri(name),
      name: `artifact ${name}`,
      title: `Artifact ${name}`,
      mimeType: mediaType,
      size: sizeBytes,
    })),
  ];
  const start = cursor === undefined ? 0 : decodeCursor(all, cursor);
  const resources = all.slice(start, start + PAGE_SIZE);
  const last = resources.at(-1);
  if (start + PAGE_SIZE >= all.length || last === undefined) return { resources };
  return { resources, nextCursor: Buffer.from(last.uri).toString("base64url") };
}

function byName<T extends { name: string }>(things: readonly T[]): T[] {
  return [...things].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Where the list goes on behind the resource that the cursor names; one that is gone meanwhile ends it. */
function decodeCursor(all: readonly Resource[], cursor: string): number {
  const uri = Buffer.from(cursor, "base64url").toString("utf8");
  if (!uri.startsWith("firebreak://")) {
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, "the cursor is none of this server's");
  }
  const index = all.findIndex((resource) => resource.uri === uri);
  return index < 0 ? all.length : index + 1;
}
