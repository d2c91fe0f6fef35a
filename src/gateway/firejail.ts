import { Readable } from "node:stream";
import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";
import type { WorkOptions } from "../vms/ports.ts";

/** Where a VM has its server's profile: whoever the server runs as may read it there. */
const GUEST_FOLDER = "/etc/firejail/firebreak";
const PROGRAMS = ["/usr/bin/firejail", "/usr/local/bin/firejail"];

/** A command as it runs within Firejail; what the server prints stays the only thing that is printed. */
function firejailCommand(program: string, server: string, argv: readonly string[]): string[] {
  return [program, "--quiet", `--profile=${profilePath(server)}`, "--", ...argv];
}

const profilePath = (server: string) => `${GUEST_FOLDER}/${server}.profile`;

/**
 * Puts a server's profile into its VM. Returns its command as it is to be run there; where the VM's image has no Firejail, the command as it is and the
 * reason why the profile is not applied.
 */
export async function confine(
  client: Pick<GuestClient, "stat" | "writeFile">,
  { name, firejail }: { name: string; firejail?: string | undefined },
  argv: string[],
  options: WorkOptions,
): Promise<{ argv: string[]; warning?: string }> {
  if (firejail === undefined) return { argv };
  const requests = options.signal === undefined ? {} : { signal: options.signal };
  const isThere = async (program: string) =>
    client.stat(program, true, requests).then(
      ({ type }) => type === "file",
      (thrown: unknown) => {
        const error = toFirebreakError(thrown);
        if (error.code === "FILE_NOT_FOUND") return false;
        throw error;
      },
    );
  for (const program of PROGRAMS) {
    if (!(await isThere(program))) continue;
    await client.writeFile(profilePath(name), Readable.from([firejail]), { mode: "644", parents: true }, requests);
    return { argv: firejailCommand(program, name, argv) };
  }
  const warning = `profiles/${name}.profile is not applied: there is no Firejail in the image; the VM confines the server all the same`;
  return { argv, warning };
}
