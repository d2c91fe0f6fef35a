import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { EGRESS_MODES, type EgressPolicyInput, egressPolicySchema } from "../../contract/policy.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { collect } from "./vm-options.ts";

export interface NetworkOptionValues {
  network?: string;
  allow?: string[];
  deny?: string[];
  policy?: string;
}

export function addNetworkOptions(command: Command): Command {
  return command
    .option(
      "--network <mode>",
      "none, allowlist, public (any public name) or nat (a network card) (default: none; allowlist with --allow)",
    )
    .option(
      "--allow <name[:port]>",
      "a name it may reach: api.github.com, '*.github.com', db.internal:5432, or a set such as registries (repeatable)",
      collect,
    )
    .option("--deny <name[:port]>", "a name it may not reach, whatever else allows it (repeatable)", collect)
    .option("--policy <file>", "a whole policy as JSON; - is stdin");
}

/** The same of a new VM, whose default it leaves alone when nothing is given. */
export async function toNetwork(options: NetworkOptionValues): Promise<{ network?: EgressPolicyInput }> {
  const isGiven = [options.network, options.allow, options.deny, options.policy].some((value) => value !== undefined);
  return isGiven ? { network: await toPolicy(options) } : {};
}

/** The policy that the options make; a VM without any has no network. Throws INVALID_ARGUMENT, HOST_PATH_NOT_FOUND. */
export async function toPolicy(options: NetworkOptionValues): Promise<EgressPolicyInput> {
  const { network, allow = [], deny = [], policy: file } = options;
  if (file !== undefined) {
    if (network !== undefined || allow.length + deny.length > 0)
      throw new FirebreakError(
        "INVALID_ARGUMENT",
        "--policy is a whole policy: it goes with none of --network, --allow and --deny",
      );
    return readPolicy(file);
  }
  const mode = EGRESS_MODES.find((known) => known === (network ?? (allow.length > 0 ? "allowlist" : "none")));
  if (mode === undefined)
    throw new FirebreakError("INVALID_ARGUMENT", `--network: '${network}' is not ${EGRESS_MODES.join(", ")}`);
  return { mode, ...(allow.length === 0 ? {} : { allow }), ...(deny.length === 0 ? {} : { deny }) };
}

async function readPolicy(file: string): Promise<EgressPolicyInput> {
  const text = await readFile(file === "-" ? "/dev/stdin" : file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new FirebreakError("HOST_PATH_NOT_FOUND", `${file} cannot be read (${error.code})`);
  });
  try {
    const parsed = egressPolicySchema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    throw new Error(`${issue?.path.join(".")}: ${issue?.message}`);
  } catch (error) {
    throw new FirebreakError("INVALID_ARGUMENT", `${file}: ${(error as Error).message}`);
  }
}
