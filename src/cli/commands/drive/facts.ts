import type { Drive } from "../../../contract/drive.ts";
import { formatAge, formatBytes, printFacts, printTable } from "../../output.ts";

/** `web at /mnt/data`, `db at /srv (read-only)`. */
export function describeAttachments(drive: Drive): string {
  return drive.attachments
    .map(({ vm, path, readOnly, reason }) => {
      const place = path === undefined ? "" : ` at ${path}`;
      return `${vm.name}${place}${readOnly ? " (read-only)" : ""}${reason === undefined ? "" : ` (failed: ${reason})`}`;
    })
    .join(", ");
}

export function printDrives(drives: Drive[]): void {
  printTable(
    ["NAME", "FORMAT", "SIZE", "USED", "ATTACHED TO", "AGE"],
    drives.map((drive) => [
      drive.name,
      drive.format,
      `${drive.sizeMib} MiB`,
      formatBytes(drive.usedBytes),
      describeAttachments(drive) || "-",
      formatAge(drive.createdAt),
    ]),
  );
}

export function printDrive(drive: Drive): void {
  printFacts([
    ["name", drive.name],
    ["id", drive.id],
    ["format", drive.format],
    ["size", `${drive.sizeMib} MiB`],
    ["used", `${formatBytes(drive.usedBytes)} of this host's disk`],
    ["created", `${drive.createdAt} (${formatAge(drive.createdAt)} ago)`],
    ["attached to", describeAttachments(drive) || "no VM"],
  ]);
}
