import type { GuestClient } from "../guest/client.ts";
import type { ExecSpec } from "../guest/protocol.ts";
import { runCommand } from "../vms/run-command.ts";

/** What the output directory has of a task's changes to a repository. */
export const DIFF_NAME = "workspace.diff";
/** In the VM: the commit that a task begins with. */
const START_FILE = "/run/firebreak-task-start";
const TIMEOUT_MS = 60_000;
/** More is for git itself, bytes. */
const MAX_DIFF_BYTES = 32 * 1024 * 1024;

/** `$1` is the directory that the task works in, `$2` the file with the commit. */
const NOTE_START = `cd "$1" && git rev-parse --verify --quiet HEAD > "$2" || rm -f "$2"`;
/**
 * What has changed since, commits or not, but what git ignores; by an index of its own, so that the task's is left as it is. `$3` is the file to write, which
 * is not there when there is nothing to tell, and is left alone when the task has written one itself.
 */
const WRITE_DIFF = `
[ -e "$2" ] && [ ! -e "$3" ] && cd "$1" || exit 0
export GIT_INDEX_FILE="$2.index"
git read-tree "$(cat "$2")" && git add --all . &&
  git diff --cached --no-color --no-ext-diff --no-textconv --binary "$(cat "$2")" | head -c ${MAX_DIFF_BYTES} > "$2.diff"
if [ -s "$2.diff" ]; then mkdir -p "$(dirname "$3")" && cp "$2.diff" "$3"; fi
rm -f "$GIT_INDEX_FILE" "$2.diff"
`;

interface DiffOptions {
  client: GuestClient;
  signal: AbortSignal | undefined;
  explainLoss: Parameters<typeof runCommand>[1]["explainLoss"];
}

/** Notes the commit that a directory of a VM is at, where it is a repository's. */
export const noteStart = (directory: string, options: DiffOptions): Promise<void> =>
  runScript(NOTE_START, [directory, START_FILE], options);

/** Writes what has changed in it since to a file of the VM. What runs there is the guest's own git, and what it writes as hostile as all that a guest writes. */
export const writeDiff = (directory: string, file: string, options: DiffOptions): Promise<void> =>
  runScript(WRITE_DIFF, [directory, START_FILE, file], options);

/** A guest without git has no diff, and no fault. */
async function runScript(script: string, words: string[], options: DiffOptions): Promise<void> {
  const spec: ExecSpec = {
    argv: ["sh", "-c", script, "firebreak", ...words],
    env: { HOME: "/root", GIT_OPTIONAL_LOCKS: "0" },
    timeoutMs: TIMEOUT_MS,
  };
  await runCommand(spec, { ...options, tailLength: 0 });
}
