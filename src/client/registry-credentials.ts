import { readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import type { RegistryCredentials } from "../contract/image.ts";
import { parseImageReference } from "../contract/image-reference.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { runCommand } from "../platform/process.ts";

/** What docker and podman keep of logins, as far as it is read. */
interface AuthConfig {
  auths?: Record<string, { auth?: string }>;
  credHelpers?: Record<string, string>;
  credsStore?: string;
}

/** Under these names the login to Docker Hub is kept. */
const DOCKER_HUB = ["https://index.docker.io/v1/", "docker.io", "index.docker.io"];
const HELPER_TIMEOUT_MS = 30_000;
const MAX_PASSWORD_BYTES = 20_000;

/**
 * The caller's own login to the registry of a reference, from podman's or docker's files (containers-auth.json(5)), or from a helper that
 * these name; undefined when there is none. Throws HOST_PATH_NOT_FOUND or INVALID_ARGUMENT for an `authFile` that is none.
 */
export async function findCredentials(
  reference: string,
  authFile: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
): Promise<RegistryCredentials | undefined> {
  const { registry, repository } = parseImageReference(reference);
  const keys = keysFor(registry, repository);
  for (const file of authFile === undefined ? defaultFiles(env) : [authFile]) {
    const config = await readConfig(file, authFile !== undefined);
    const found = config === undefined ? undefined : await findIn(config, keys, env);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** One line; without the newline that ends it. */
export async function readPassword(input: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_PASSWORD_BYTES)
      throw new FirebreakError("INVALID_ARGUMENT", "the password on standard input has no end");
    chunks.push(chunk);
  }
  const password = Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
  if (password === "") throw new FirebreakError("INVALID_ARGUMENT", "there is no password on standard input");
  return password;
}

/** The most particular first: podman keeps logins for parts of a registry, too. */
function keysFor(registry: string, repository: string): string[] {
  const parts = repository.split("/");
  const keys = parts.map((_, index) => `${registry}/${parts.slice(0, parts.length - index).join("/")}`);
  return [
    ...keys,
    registry,
    `https://${registry}`,
    `https://${registry}/v1/`,
    ...(registry === "docker.io" ? DOCKER_HUB : []),
  ];
}

function defaultFiles(env: NodeJS.ProcessEnv): string[] {
  const home = env.HOME ?? os.homedir();
  return [
    env.REGISTRY_AUTH_FILE,
    path.join(env.XDG_RUNTIME_DIR ?? `/run/containers/${process.getuid?.()}`, "containers/auth.json"),
    path.join(env.XDG_CONFIG_HOME ?? path.join(home, ".config"), "containers/auth.json"),
    path.join(env.DOCKER_CONFIG ?? path.join(home, ".docker"), "config.json"),
  ].filter((file) => file !== undefined);
}

async function readConfig(file: string, isRequired: boolean): Promise<AuthConfig | undefined> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (!isRequired) return undefined;
    throw new FirebreakError("HOST_PATH_NOT_FOUND", `${file} cannot be read (${error.code})`);
  });
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as AuthConfig;
  } catch {
    // Said below, without what is in it.
  }
  throw new FirebreakError("INVALID_ARGUMENT", `${file} holds no logins: it is not JSON`, {
    hint: "Log in again with docker or podman.",
  });
}

async function findIn(
  config: AuthConfig,
  keys: string[],
  env: NodeJS.ProcessEnv,
): Promise<RegistryCredentials | undefined> {
  for (const key of keys) {
    const helper = config.credHelpers?.[key] ?? (config.auths?.[key] === undefined ? undefined : config.credsStore);
    const found = helper === undefined ? undefined : await askHelper(helper, key, env);
    if (found !== undefined) return found;
    const auth = config.auths?.[key]?.auth;
    const text = typeof auth === "string" ? Buffer.from(auth, "base64").toString("utf8") : "";
    const colon = text.indexOf(":");
    if (colon > 0) return { username: text.slice(0, colon), password: text.slice(colon + 1) };
  }
  return undefined;
}

/** `docker-credential-NAME get`: the registry on its input, JSON on its output; a failure means that it has no login. */
async function askHelper(
  helper: string,
  key: string,
  env: NodeJS.ProcessEnv,
): Promise<RegistryCredentials | undefined> {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(helper)) return undefined;
  const input = (async function* () {
    yield Buffer.from(`${key}\n`);
  })();
  const options = { input, env, allowFailure: true, timeoutMs: HELPER_TIMEOUT_MS };
  const { exitCode, stdout } = await runCommand(`docker-credential-${helper}`, ["get"], options);
  if (exitCode !== 0) return undefined;
  try {
    const { Username, Secret } = JSON.parse(stdout) as { Username?: unknown; Secret?: unknown };
    // "<token>": an identity token, which only docker itself can use.
    if (typeof Username !== "string" || typeof Secret !== "string" || Username === "<token>") return undefined;
    return { username: Username, password: Secret };
  } catch {
    return undefined;
  }
}
