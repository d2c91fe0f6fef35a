import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import { findProgram, runCommand } from "../../platform/process.ts";

/** The host's own programs for its network, and the packages of Debian that they are in. */
const PACKAGES = { ip: "iproute2", bridge: "iproute2", nft: "nftables" } as const;
const DEADLINE_MS = 10_000;

/** Runs one of them, with its commands on stdin. Throws TOOL_NOT_FOUND, NETWORK_SETUP_FAILED with its last words. */
export async function runNetworkTool(
  name: keyof typeof PACKAGES,
  args: string[],
  input?: string,
): Promise<{ stdout: string }> {
  const program = await findProgram(name);
  if (program === undefined)
    throw new FirebreakError("TOOL_NOT_FOUND", `${name} is not installed; VMs get a network card with it`, {
      hint: `apt-get install ${PACKAGES[name]}`,
    });
  try {
    return await runCommand(program, args, {
      timeoutMs: DEADLINE_MS,
      // A listing of a thousand VMs is long, and a part of it would be another one.
      keptOutputBytes: 64 * 1024 * 1024,
      ...(input === undefined ? {} : { input: lines(input) }),
    });
  } catch (error) {
    throw new FirebreakError("NETWORK_SETUP_FAILED", toFirebreakError(error).message, { cause: error });
  }
}

async function* lines(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
