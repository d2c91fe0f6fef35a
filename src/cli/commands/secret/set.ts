import type { Command } from "commander";
import { SECRET_EXPOSURES, SECRET_PLACES, type SecretAws, type SecretPlace } from "../../../contract/secret.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";
import { readSecret, type SecretSourceOptions } from "../../secret-source.ts";
import { collect } from "../vm-options.ts";

interface SetOptions extends SecretSourceOptions {
  host?: string[];
  in?: string[];
  expose?: string;
  /** `--no-aws`: false. */
  aws?: string | false;
  awsSessionToken?: string;
}

/** Where a value comes from, for `set` and `rotate`. */
export function addSourceOptions(command: Command): Command {
  return command
    .option("--from-env <variable>", "take the value from a variable of this shell")
    .option("--from-file <file>", "take it from a file")
    .option("--keep-newline", "keep a line break at its end, which is dropped otherwise");
}

export function addSecretSet(parent: Command): void {
  const command = addSourceOptions(
    parent
      .command("set")
      .description(
        "Keep a secret, encrypted. The value comes from a variable, a file or stdin, or is asked for; never from the command line. VMs get a placeholder, which becomes the value on its way to the hosts.",
      )
      .argument("<name>", "the name of the variable that VMs find it under, such as GITHUB_TOKEN"),
  )
    .option("--host <name[:port]>", "a host that it is for (repeatable)", collect)
    .option("--in <place>", `where in a request: ${SECRET_PLACES.join(", ")} (repeatable; default: header)`, collect)
    .option("--expose <how>", `${SECRET_EXPOSURES.join(" or ")}: env gives VMs the value itself (default: proxy)`)
    .option(
      "--aws <secret>",
      "it is the secret access key of AWS for the access key id in that secret: it signs here, and goes nowhere",
    )
    .option("--aws-session-token <secret>", "the secret with the session token, of temporary AWS keys")
    .option("--no-aws", "it is no AWS key any more")
    .action(async (name: string, options: SetOptions) => {
      const aws = awsOf(options);
      // Before a daemon may be started: it is not to have the value in its environment.
      const value = await readSecret(name, options);
      const { client, asJson } = await openContext(command);
      const secret = await client.secrets.set(name, {
        value,
        ...(options.host === undefined ? {} : { hosts: options.host }),
        ...(options.in === undefined ? {} : { places: options.in as SecretPlace[] }),
        ...(options.expose === undefined ? {} : { expose: options.expose as "proxy" }),
        ...(aws === undefined ? {} : { aws }),
      });
      if (asJson) return printJson(secret);
      const where = secret.hosts.length === 0 ? "no host yet" : secret.hosts.join(", ");
      const key = secret.aws === undefined ? "" : `; it signs for the AWS key ${secret.aws.accessKeyId}`;
      process.stdout.write(`${secret.name} is kept, for ${where}${key}\n`);
    });
}

function awsOf({ aws, awsSessionToken: sessionToken }: SetOptions): SecretAws | null | undefined {
  if (aws === false && sessionToken === undefined) return null;
  if (typeof aws === "string") return { accessKeyId: aws, ...(sessionToken === undefined ? {} : { sessionToken }) };
  if (sessionToken === undefined) return undefined;
  throw new FirebreakError("INVALID_ARGUMENT", "--aws-session-token is of the key that --aws names", {
    hint: "--aws AWS_ACCESS_KEY_ID --aws-session-token AWS_SESSION_TOKEN",
  });
}
