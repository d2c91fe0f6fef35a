import { digestOf } from "../contract/canonical-json.ts";
import { isRegistryReference } from "../contract/image-reference.ts";
import type { Installed } from "./install/install.ts";
import type { LockServer } from "./pin/lock.ts";

/** Of what is installed of a server, what a lock says. */
export type InstalledFacts = Pick<
  LockServer,
  "package" | "packageVersion" | "packageDigest" | "packagesDigest" | "image" | "imageDigest"
>;

/** What a lock says of what has been installed for a server: what was asked for, all that came with it, and the image. */
export function installedFacts(installed: Installed | undefined): InstalledFacts {
  const { packages = [], image } = installed ?? {};
  const [own] = packages;
  return {
    ...(own === undefined
      ? {}
      : {
          package: own.name,
          packageVersion: own.version,
          ...(own.digest === undefined ? {} : { packageDigest: own.digest }),
          packagesDigest: `sha256:${digestOf(packages)}`,
        }),
    // The digest of an image that comes from no registry is another on each host.
    ...(image === undefined || !isRegistryReference(image.name)
      ? {}
      : { image: image.name, imageDigest: image.digest }),
  };
}
