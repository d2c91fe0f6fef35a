import type { Command } from "commander";
import type { DaemonClient } from "../../client/daemon-client.ts";
import { EGRESS_MODES, type EgressPolicyInput } from "../../contract/policy.ts";
import { SECRET_NAME_PATTERN, type SecretGrant } from "../../contract/secret.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { allowHosts } from "../allow-hosts.ts";
import { PolicyFile } from "../policy-file.ts";
import { readInput } from "../read-input.ts";
import { collect } from "./vm-options.ts";

export interface NetworkOptionValues {
  network?: string;
  allow?: string[];
  deny?: string[];
  policy?: string;
  /** What that held, once it has been read. */
  policyFile?: PolicyFile;
  secret?: string[];
  /** False for `--no-secrets`. */
  secrets?: boolean;
}

export function addNetworkOptions(command: Command): Command {
  return command
    .option(
      "--network <mode>",
      "none, allowlist, public (any public name) or nat (a network card) (default: none; allowlist with --allow)",
    )
    .option(
      "--allow <name[:port]>",
      "a name it may reach: api.github.com, '*.github.com', db.internal:5432, or a set such as registries; with nat an address: 203.0.113.0/24:443 (repeatable)",
      collect,
    )
    .option("--deny <name[:port]>", "a name it may not reach, whatever else allows it (repeatable)", collect)
    .option("--policy <file>", "a whole policy as JSON; - is stdin")
    .option(
      "--secret <name[@host]>",
      "a secret that it may use (firebreak secret set), here at its hosts or these: NAME@HOST,HOST; they are allowed along (repeatable)",
      collect,
    );
}

/** `NAME`, or `NAME@HOST,HOST`. Throws INVALID_ARGUMENT. */
export function parseGrant(text: string): SecretGrant {
  const at = text.indexOf("@");
  const [name, hosts] = at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1).split(",")];
  if (!SECRET_NAME_PATTERN.test(name) || hosts?.includes(""))
    throw new FirebreakError("INVALID_ARGUMENT", `--secret: '${text}' is not NAME or NAME@HOST`, {
      hint: "The value is set apart from that: firebreak secret set NAME",
    });
  return { name, ...(hosts === undefined ? {} : { hosts }) };
}

/** What of the options is of secrets; absent when nothing is said of them. */
export function toGrants({ secret, secrets }: NetworkOptionValues): { secrets?: SecretGrant[] } {
  if (secret !== undefined) return { secrets: secret.map(parseGrant) };
  return secrets === false ? { secrets: [] } : {};
}

/** Policy and secrets of a new VM, whose defaults they leave alone when nothing is given. */
export async function toNetwork(
  options: NetworkOptionValues,
  client: DaemonClient,
): Promise<{ network?: EgressPolicyInput; secrets?: SecretGrant[] }> {
  const given = [options.network, options.allow, options.deny, options.policy, options.secret];
  if (given.every((value) => value === undefined)) return {};
  const { policy, ...grants } = await toPolicyAndGrants(options, client);
  return { network: policy, ...grants };
}

export async function toPolicyAndGrants(
  options: NetworkOptionValues,
  client: DaemonClient,
): Promise<{ policy: EgressPolicyInput; secrets?: SecretGrant[] }> {
  const [policy, grants] = [await toPolicy(options), toGrants(options)];
  const isClosed = options.network === "none";
  if (isClosed || grants.secrets === undefined || grants.secrets.length === 0) return { policy, ...grants };
  return { policy: allowHosts(policy, grants.secrets, await client.secrets.list()), ...grants };
}

/** The policy that the options make; a VM without any has no network. Throws INVALID_ARGUMENT, HOST_PATH_NOT_FOUND. */
async function toPolicy(options: NetworkOptionValues): Promise<EgressPolicyInput> {
  const { network, allow = [], deny = [], policy: file } = options;
  if (file !== undefined) {
    if (network !== undefined || allow.length + deny.length > 0)
      throw new FirebreakError(
        "INVALID_ARGUMENT",
        "--policy is a whole policy: it goes with none of --network, --allow and --deny",
      );
    options.policyFile = new PolicyFile((await readInput(file)).toString("utf8"), file);
    return options.policyFile.policy;
  }
  const mode = EGRESS_MODES.find((known) => known === (network ?? (allow.length > 0 ? "allowlist" : "none")));
  if (mode === undefined)
    throw new FirebreakError("INVALID_ARGUMENT", `--network: '${network}' is not ${EGRESS_MODES.join(", ")}`);
  return { mode, ...(allow.length === 0 ? {} : { allow }), ...(deny.length === 0 ? {} : { deny }) };
}

/** Does what the options are for. What is wrong with a policy is told with its place in the file that it came from. */
export async function withPlaces<T>(options: NetworkOptionValues, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw options.policyFile?.explain(error) ?? error;
  }
}
