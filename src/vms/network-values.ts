import { FirebreakError } from "../errors/firebreak-error.ts";
import { GUEST_FEATURES, type PersonaliseValues } from "../guest/protocol.ts";
import type { NetworkHooks } from "./ports.ts";
import type { VmRecord } from "./vm-store.ts";

/** What a guest is told of its network and its secrets, at its start and when they change. A machine that was saved has what it had then. */
export async function networkValues(
  network: NetworkHooks | undefined,
  record: VmRecord,
  features: readonly string[],
): Promise<Pick<PersonaliseValues, "network" | "trust" | "env">> {
  if (network === undefined) return {};
  // An old agent has no network, and cannot be told so.
  const isOld = !features.includes(GUEST_FEATURES.egress);
  const trust = isOld ? undefined : await network.trustOf(record);
  const hasKeyStore = features.includes(GUEST_FEATURES.javaTrust);
  const trustEnv = trust === undefined ? {} : { ...TRUST_ENV, ...(hasKeyStore ? JAVA_ENV : {}) };
  const env: Record<string, string> = { ...trustEnv, ...network.environmentOf(record) };
  // What the VM was given for its environment says more.
  for (const name of Object.keys(record.env)) delete env[name];
  return {
    ...(Object.keys(env).length === 0 ? {} : { env }),
    ...(isOld ? {} : { network: network.valuesFor(record) }),
    ...(trust === undefined ? {} : { trust }),
  };
}

const BUNDLE = "/run/firebreak/ca-bundle.pem";
/** Programs that bring certificates of their own along are told by these where the guest agent has put others (guest-agent/src/trust.rs). */
const TRUST_ENV: Readonly<Record<string, string>> = {
  SSL_CERT_FILE: BUNDLE,
  CURL_CA_BUNDLE: BUNDLE,
  GIT_SSL_CAINFO: BUNDLE,
  REQUESTS_CA_BUNDLE: BUNDLE,
  PIP_CERT: BUNDLE,
  CARGO_HTTP_CAINFO: BUNDLE,
  AWS_CA_BUNDLE: BUNDLE,
  NODE_EXTRA_CA_CERTS: "/run/firebreak/ca.pem",
  DENO_CERT: "/run/firebreak/ca.pem",
};

/** Java reads no PEM, and no variable names a key store of its certificates: each JVM takes these options, and says so on stderr. */
const JAVA_ENV: Readonly<Record<string, string>> = {
  JAVA_TOOL_OPTIONS: "-Djavax.net.ssl.trustStore=/run/firebreak/ca-bundle.jks -Djavax.net.ssl.trustStoreType=JKS",
};

/** Throws SECRET_EXPOSED for a VM whose memory holds the value of a secret, VM_STATE_CONFLICT for one whose network would be lost. */
export function requireSavable(network: NetworkHooks | undefined, record: VmRecord): void {
  if (network?.isSavable(record) === false)
    throw new FirebreakError(
      "VM_STATE_CONFLICT",
      `the VM '${record.name}' has a user-mode network, which is not saved`,
      {
        hint: "A network card at the host's bridge is: firebreak network setup (as root). So are names: --network allowlist",
      },
    );
  const names = network?.exposedIn(record) ?? [];
  if (names.length === 0) return;
  throw new FirebreakError(
    "SECRET_EXPOSED",
    `the VM '${record.name}' has the value of ${names.join(", ")} in its memory, which is not saved`,
    {
      hint: "A VM that is given a placeholder instead can be saved: firebreak secret set NAME --host HOST",
    },
  );
}
