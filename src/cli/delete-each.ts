import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import { printJson } from "./output.ts";

/** Throws INVALID_ARGUMENT unless something is named or all are meant. */
export function requireTargets(noun: string, names: string[], all: boolean | undefined): void {
  if (names.length > 0 || all) return;
  throw new FirebreakError("INVALID_ARGUMENT", `no ${noun} was named`, { hint: "Name one or more, or use --all." });
}

/** Deletes what can be, prints what has been, then throws the first failure. */
export async function deleteEach(
  names: string[],
  deleteOne: (name: string) => Promise<{ deleted: string }>,
  asJson: boolean,
): Promise<void> {
  const outcomes = await Promise.allSettled(names.map(deleteOne));
  const deleted = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value.deleted] : []));
  if (asJson) printJson({ deleted });
  else for (const name of deleted) process.stdout.write(`${name}\n`);
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) throw toFirebreakError(failed.reason);
}
