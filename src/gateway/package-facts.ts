import { digestOf } from "../contract/canonical-json.ts";
import type { Packages } from "./managed.ts";
import type { LockServer } from "./pin/lock.ts";

/** What a lock says of what has been installed for a server, what was asked for first. */
export function packageFacts(
  packages: Packages = [],
): Pick<LockServer, "package" | "packageVersion" | "packageDigest" | "packagesDigest"> {
  const [own] = packages;
  if (own === undefined) return {};
  return {
    package: own.name,
    packageVersion: own.version,
    ...(own.digest === undefined ? {} : { packageDigest: own.digest }),
    packagesDigest: `sha256:${digestOf(packages)}`,
  };
}
