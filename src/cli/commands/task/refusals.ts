import type { DaemonClient } from "../../../client/daemon-client.ts";
import type { EgressEvent } from "../../../contract/egress.ts";
import type { Task } from "../../../contract/task.ts";
import { stripControl } from "../../../platform/terminal-text.ts";

const SHOWN = 5;

/** What a task that has failed did not reach: to what runs in its VM that is a broken connection, whatever the reason. */
export async function printRefusals(client: DaemonClient, { id, attempt, state }: Task): Promise<void> {
  if (state !== "failed") return;
  // A deleted VM has no name any more to ask by. Who may not see the log is told nothing.
  const page = await client.egress.list({}).catch(() => undefined);
  const own = page?.events.filter(({ vm }) => vm.name === `task-${id}-${attempt}`) ?? [];
  const line = describeRefusals(own);
  if (line !== undefined) process.stderr.write(`${line}\n`);
}

/** One line with each place once; undefined when all tries got through. */
export function describeRefusals(events: readonly EgressEvent[]): string | undefined {
  const refused = events.filter(({ verdict }) => verdict !== "allowed");
  const places = [
    ...new Set(
      refused.map(({ name, address, port, verdict }) => {
        const host = stripControl(name ?? address ?? "?");
        return `${host}${port === undefined ? "" : `:${port}`} ${verdict === "denied" ? "denied" : "not reached"}`;
      }),
    ),
  ];
  const [first] = refused;
  if (first === undefined) return undefined;
  const more = places.length > SHOWN ? ` and ${places.length - SHOWN} more` : "";
  return `egress: ${places.slice(0, SHOWN).join(", ")}${more}; why: firebreak egress log ${first.vm.id}`;
}
