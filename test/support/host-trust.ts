import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { DaemonFixture } from "./daemon-fixture.ts";

/** A guest takes 64 KiB, of which the VM's own certificate needs some. */
const MAX_BYTES = 50 * 1024;

/**
 * Where something between this host and the registries opens TLS, programs here are told of its certificate by NODE_EXTRA_CA_CERTS; VMs are told of
 * it, too. The file may be all that a system trusts, and what was added to that stands last.
 */
export function trustAsHost({ paths, env }: Pick<DaemonFixture, "paths" | "env">): void {
  const file = env.NODE_EXTRA_CA_CERTS;
  if (file === undefined || file === "") return;
  const all = readFileSync(file, "latin1").match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? [];
  let [kept, size] = [all.length, 0];
  while (kept > 0 && size + (all[kept - 1] as string).length < MAX_BYTES) size += (all[--kept] as string).length;
  const pem = path.join(paths.home, "host-trust.pem");
  writeFileSync(pem, all.slice(kept).join(""));
  writeFileSync(path.join(paths.home, "firebreak.toml"), `[network]\ntrust = [${JSON.stringify(pem)}]\n`);
}
