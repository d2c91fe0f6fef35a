import { digestOf } from "../../contract/canonical-json.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { InstalledFacts } from "../installed-facts.ts";
import type { Installed } from "./install.ts";
import type { InstallPlan } from "./plan.ts";

/** A name of npm's or PyPI's, and no version, range, tag, extra or address behind it but the newest. */
const BARE = /^((?:@[\w.~-]+\/)?[\w.~-]+)(?:@latest)?$/;

/** The version that a lock has of what a plan installs; undefined where the plan says which itself, or the lock has another package. */
export function lockedVersion(plan: InstallPlan, locked: InstalledFacts | undefined): string | undefined {
  if (plan.kind === "none" || locked?.package === undefined) return undefined;
  const [, name] = BARE.exec(plan.spec) ?? [];
  if (name === undefined) return undefined;
  const isSame = plan.kind === "npm" ? name === locked.package : plain(name) === plain(locked.package);
  return isSame ? locked.packageVersion : undefined;
}

/** The plan with what a lock has in the place of what is newest. */
export function planLocked(plan: InstallPlan, locked: InstalledFacts | undefined): InstallPlan {
  const version = lockedVersion(plan, locked);
  if (version === undefined || plan.kind === "none") return plan;
  const name = plan.spec.replace(/@latest$/, "");
  return { ...plan, spec: plan.kind === "npm" ? `${name}@${version}` : `${name}==${version}` };
}

/**
 * What came with a package that is as the lock has it and is something else itself, as a warning. Throws SERVER_LOCK_UNMET when the package is not the one that
 * the lock has.
 */
export function checkLocked(
  server: string,
  plan: InstallPlan,
  { packages }: Installed,
  locked: InstalledFacts | undefined,
): string[] {
  const [own] = packages;
  if (locked === undefined || own === undefined || lockedVersion(plan, locked) === undefined) return [];
  if (
    own.version !== locked.packageVersion ||
    (own.digest ?? locked.packageDigest) !== (locked.packageDigest ?? own.digest)
  )
    throw new FirebreakError(
      "SERVER_LOCK_UNMET",
      `the server '${server}': firebreak.lock has ${describe(locked.package, locked.packageVersion, locked.packageDigest)}, and the registry ${describe(own.name, own.version, own.digest)}`,
      { hint: `What is there now is taken by: firebreak server update ${server}`, details: { server } },
    );
  if (locked.packagesDigest === undefined || locked.packagesDigest === `sha256:${digestOf(packages)}`) return [];
  return [
    `what came with ${own.name} ${own.version} is not what firebreak.lock has (packages_digest): some of it is of another version by now`,
  ];
}

function describe(name = "?", version = "?", digest = "without a digest"): string {
  return `${name} ${version} (${digest})`;
}

/** As PyPI compares names. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/g, "-");
}
