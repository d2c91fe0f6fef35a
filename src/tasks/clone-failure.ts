import type { EgressEvent } from "../contract/egress.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** What git says of a reference that the repository does not have. */
const NO_REFERENCE = /invalid reference|pathspec .* did not match|reference is not a tree|unable to read tree/;

export interface CloneFailure {
  /** The end of what git has printed. */
  tail: string;
  ref: string;
  /** What its VM has tried to reach, the newest last. */
  tries: readonly EgressEvent[];
}

/** Why a repository could not be fetched, with what there is to do. A host that is not reached is a broken connection to git: why is in the egress log. */
export function explainCloneFailure({ tail, ref, tries }: CloneFailure): FirebreakError {
  const last = tries.at(-1);
  const isReached = last === undefined || last.verdict === "allowed";
  const hint = isReached ? hintOf(tail, ref) : hintOfHost(last);
  return new FirebreakError("INVALID_ARGUMENT", `the repository could not be fetched: ${tail.trim()}`, { hint });
}

/** The same for an image that has no git. */
export function gitMissing(cause: unknown): FirebreakError {
  return new FirebreakError("INVALID_ARGUMENT", "the repository could not be fetched: the image has no git", {
    hint: "Name one that has it, as the default one does: firebreak task run --image debian",
    cause,
  });
}

function hintOf(tail: string, ref: string): string {
  if (NO_REFERENCE.test(tail)) return `The repository has no branch, tag or commit '${ref}'.`;
  return "The repository has to be there, and readable without a password.";
}

function hintOfHost({ verdict, name, address, port, rule, why = "" }: EgressEvent): string {
  const host = name ?? address ?? "its host";
  const reason = why === "" ? "" : `: ${why}`;
  if (verdict === "failed") return `This host does not reach ${host}${reason}.`;
  // A rule lets it there, and the address that the name leads to is none for everybody.
  if (rule !== undefined && address !== undefined)
    return `Its VM was kept from ${host}${reason}. If that is what you want, a policy says so (--policy FILE): {"host": "${host}", "private": true}`;
  const place = port === undefined || port === 443 ? host : `${host}:${port}`;
  return `Its VM may not reach ${host}${reason}. Let it there: firebreak task run --allow ${place}`;
}
