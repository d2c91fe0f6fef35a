import fsPromises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import path from "node:path";
import { fakeGuest, packEntries } from "./fake-guest.ts";
import { openWorkspaceService, VM } from "./workspace-service.ts";

/** What the host has before the pull that is cut off, and what the VM has made of it. */
export const BEFORE = { changed: "1", deleted: "1", kept: "1", "dir/old": "1" };
export const AFTER = { changed: "2", kept: "1", "dir/new": "2", fresh: "2" };

const CHANGES = ["rename", "unlink", "rmdir", "mkdir", "writeFile", "rm"] as const;

/**
 * Pulls a workspace and kills itself before the `at`th call that changes a file: `workspace-pull.ts FOLDER AT`. The calls are watched from outside:
 * nothing in the product knows of it.
 */
async function main(): Promise<void> {
  const [folder = "", at = "0"] = process.argv.slice(2);
  const { open, close } = openWorkspaceService(path.join(folder, "state"));
  const archive = packEntries(Object.entries(AFTER).map(([name, content]) => ({ path: name, content })));
  let calls = 0;
  for (const name of CHANGES) {
    const original = fsPromises[name] as (...args: unknown[]) => Promise<unknown>;
    Object.assign(fsPromises, {
      [name]: (...args: unknown[]) => {
        if (++calls === Number(at)) process.kill(process.pid, "SIGKILL");
        return original(...args);
      },
    });
  }
  syncBuiltinESMExports();
  await open().pull(
    VM,
    fakeGuest(() => archive),
    {},
    { isFinal: true },
  );
  close();
  process.stdout.write(String(calls));
}

if (process.argv[1]?.endsWith("workspace-pull.ts")) await main();
