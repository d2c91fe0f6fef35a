import type { Command } from "commander";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { openContext } from "../../context.ts";
import { printImageResult } from "../../image-result.ts";

interface PullOptions {
  name?: string;
  platform?: string;
  authfile?: string;
  username?: string;
  passwordStdin?: boolean;
  tlsVerify?: string;
  force?: boolean;
}

export function addImagePull(parent: Command): void {
  const command = parent
    .command("pull")
    .summary("get an image from a registry, or from an OCI or Docker archive")
    .description(
      "Get a container image and make it one that VMs boot. Nothing of it is run. The login is that of docker or podman, if there is one; with a daemon on another host only one that is given.",
    )
    .argument("<source>", "REFERENCE, oci:DIR[:IMAGE], oci-archive:FILE[:IMAGE] or docker-archive:FILE[:IMAGE]")
    .option("-n, --name <name>", "its name here (default: the last part of the reference)")
    .option("--platform <os/arch>", "which of a list of images (default: linux/amd64)")
    .option("--authfile <file>", "logins, in the form of docker's config.json")
    .option("--username <name>", "log in as this user, with --password-stdin")
    .option("--password-stdin", "read the password from standard input")
    .option("--tls-verify <bool>", "false: no TLS, for a registry on this host")
    .option("--force", "get it even when it is there")
    .action(async (source: string, options: PullOptions) => {
      const { openArchive, parseSource } = await import("../../image-source.ts");
      const parsed = parseSource(source);
      const login = parsed.kind === "registry" ? await findLogin(parsed.reference, options) : undefined;
      const tlsVerify = parseBool(options.tlsVerify);
      const settings = {
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.platform === undefined ? {} : { platform: options.platform }),
      };
      const { client, asJson, progress } = await openContext(command);
      const call = { onProgress: progress.update };
      const pull = async () => {
        if (parsed.kind === "registry") {
          const extra = {
            ...(tlsVerify === undefined ? {} : { tlsVerify }),
            ...(options.force ? { force: true } : {}),
          };
          return client.images.pull({ reference: parsed.reference, ...settings, ...extra }, login, call);
        }
        const archive = await openArchive(parsed, progress.update);
        const reference = parsed.image === undefined ? {} : { reference: parsed.image };
        return client.images.import({ format: archive.format, ...reference, ...settings }, archive.body, call);
      };
      printImageResult(await pull().finally(() => progress.clear()), "there", asJson);
    });
}

async function findLogin(reference: string, options: PullOptions) {
  const { findCredentials, readPassword } = await import("../../../client/registry-credentials.ts");
  if ((options.username === undefined) !== (options.passwordStdin !== true)) {
    throw new FirebreakError("INVALID_ARGUMENT", "--username and --password-stdin go together", {
      hint: 'echo "$PASSWORD" | firebreak image pull --username NAME --password-stdin REFERENCE',
    });
  }
  if (options.username !== undefined)
    return { username: options.username, password: await readPassword(process.stdin) };
  // Logins of this host are not for another one's daemon, unless it is said so.
  if (process.env.FIREBREAK_URL && options.authfile === undefined) return undefined;
  return findCredentials(reference, options.authfile);
}

function parseBool(value: string | undefined): boolean | undefined {
  if (value === undefined || value === "true" || value === "false")
    return value === undefined ? undefined : value === "true";
  throw new FirebreakError("INVALID_ARGUMENT", `--tls-verify: '${value}' is neither true nor false`);
}
