import type { Command } from "commander";
import type { RegistryCredentials } from "../../contract/image.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";

/** How whoever pulls or pushes is to meet a registry. */
export interface RegistryOptions {
  authfile?: string;
  username?: string;
  passwordStdin?: boolean;
  tlsVerify?: string;
}

export function addRegistryOptions(command: Command): Command {
  return command
    .option("--authfile <file>", "logins, in the form of docker's config.json")
    .option("--username <name>", "log in as this user, with --password-stdin")
    .option("--password-stdin", "read the password from standard input")
    .option("--tls-verify <bool>", "false: no TLS, for a registry on this host");
}

/** The login to the registry of a reference; undefined when there is none. `verb`: pull or push. Throws INVALID_ARGUMENT. */
export async function findLogin(
  verb: "pull" | "push",
  reference: string,
  options: RegistryOptions,
): Promise<RegistryCredentials | undefined> {
  const { findCredentials, readPassword } = await import("../../client/registry-credentials.ts");
  if ((options.username === undefined) !== (options.passwordStdin !== true)) {
    const words = verb === "pull" ? "REFERENCE" : "IMAGE REFERENCE";
    throw new FirebreakError("INVALID_ARGUMENT", "--username and --password-stdin go together", {
      hint: `echo "$PASSWORD" | firebreak image ${verb} --username NAME --password-stdin ${words}`,
    });
  }
  if (options.username !== undefined)
    return { username: options.username, password: await readPassword(process.stdin) };
  // Logins of this host are not for another one's daemon, unless it is said so.
  if (process.env.FIREBREAK_URL && options.authfile === undefined) return undefined;
  return findCredentials(reference, options.authfile);
}

/** Throws INVALID_ARGUMENT. */
export function parseTlsVerify({ tlsVerify }: RegistryOptions): boolean | undefined {
  if (tlsVerify === undefined || tlsVerify === "true" || tlsVerify === "false")
    return tlsVerify === undefined ? undefined : tlsVerify === "true";
  throw new FirebreakError("INVALID_ARGUMENT", `--tls-verify: '${tlsVerify}' is neither true nor false`);
}
