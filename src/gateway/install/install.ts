import path from "node:path/posix";
import { z } from "zod";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { GuestClient } from "../../guest/client.ts";
import type { WorkOptions } from "../../vms/ports.ts";
import { runCommand } from "../../vms/run-command.ts";
import { pinnedImageSchema } from "../server-image.ts";
import { installHint } from "./install-hint.ts";
import type { InstallPlan } from "./plan.ts";
import { UV_SCRIPT } from "./uv-script.ts";

/** Where packages are in a server's VM. */
const FOLDER = "/opt/mcp";
const INSTALL_TIMEOUT_MS = 20 * 60_000;
const TAIL_LENGTH = 2_000;
const MAX_FILE_BYTES = 8 * 1024 * 1024;

/** Where the packages of this host's own managers come from; a guest's have no other way to hear of it. */
export interface Registries {
  npm?: string | undefined;
  pip?: string | undefined;
}

/** What an installation came to, to the byte: kept, and compared when it is made anew. */
export const installedSchema = z.object({
  argv: z.array(z.string()),
  packages: z.array(z.object({ name: z.string(), version: z.string(), digest: z.string().optional() })),
  /** Absent for a server that names none. */
  image: pinnedImageSchema.optional(),
});
export type Installed = z.infer<typeof installedSchema>;

export interface InstallOptions extends WorkOptions {
  server: string;
  client: GuestClient;
  explainLoss: () => Promise<FirebreakError>;
  /** Hears what the installer prints. */
  onLog?: ((text: string) => void) | undefined;
  registries: Registries;
}

/** Installs a server's package in the VM that it is to run in. Throws SERVER_INSTALL_FAILED with the end of the installer's output. */
export async function install(plan: InstallPlan, options: InstallOptions): Promise<Installed> {
  if (plan.kind === "none") return { argv: plan.argv, packages: [] };
  return plan.kind === "npm" ? installNpm(plan, options) : installPypi(plan, options);
}

async function installNpm(plan: Extract<InstallPlan, { kind: "npm" }>, options: InstallOptions): Promise<Installed> {
  const { npm } = options.registries;
  await run(
    [
      "npm",
      "install",
      "--prefix",
      FOLDER,
      "--no-audit",
      "--no-fund",
      "--omit=dev",
      "--loglevel=http",
      "--no-update-notifier",
      plan.spec,
    ],
    npm === undefined ? {} : { npm_config_registry: npm },
    options,
  );
  const manifest = await readJson(options, `${FOLDER}/package.json`, manifestSchema);
  const [name] = Object.keys(manifest.dependencies);
  if (name === undefined) throw failed(options.server, "npm installed nothing", "");
  const own = await readJson(options, `${FOLDER}/node_modules/${name}/package.json`, packageSchema);
  const lock = await readJson(options, `${FOLDER}/package-lock.json`, lockSchema);
  const bin = chooseBin(own, plan.bin, options.server);
  const packages = Object.entries(lock.packages)
    .filter(([place]) => place !== "")
    .map(([place, { version = "?", integrity, resolved }]) => ({
      name: place.slice(place.lastIndexOf("node_modules/") + "node_modules/".length),
      version,
      digest: integrity ?? resolved,
    }));
  return { argv: [path.join(FOLDER, "node_modules/.bin", bin), ...plan.args], packages: first(packages, name) };
}

/** As npx does: the only program of a package, or the one that has its name. */
function chooseBin({ name, bin }: z.infer<typeof packageSchema>, wanted: string | undefined, server: string): string {
  const own = name.split("/").at(-1) ?? name;
  const names = typeof bin === "string" ? [own] : Object.keys(bin ?? {});
  const found = wanted ?? (names.length === 1 ? names[0] : names.find((each) => each === own));
  if (found !== undefined && (names.includes(found) || wanted !== undefined)) return found;
  throw failed(
    server,
    `the package ${name} has ${names.length === 0 ? "no program" : `the programs ${names.join(", ")}`}`,
    "",
  );
}

async function installPypi(plan: Extract<InstallPlan, { kind: "pypi" }>, options: InstallOptions): Promise<Installed> {
  const { pip } = options.registries;
  await run(["python3", "-c", UV_SCRIPT, FOLDER, pip ?? "https://pypi.org/simple", plan.spec], {}, options);
  const found = await readJson(options, `${FOLDER}/installed.json`, pypiSchema);
  const names = found.programs;
  const bin = plan.bin !== undefined && names.includes(plan.bin) ? plan.bin : names.length === 1 ? names[0] : undefined;
  if (bin === undefined)
    throw failed(
      options.server,
      `the package ${plan.spec} has ${names.length === 0 ? "no program" : `the programs ${names.join(", ")}`}`,
      "",
    );
  return { argv: [path.join(FOLDER, "bin", bin), ...plan.args], packages: first(found.packages, found.name) };
}

const manifestSchema = z.object({ dependencies: z.record(z.string(), z.string()).default({}) });
const packageSchema = z.object({
  name: z.string().max(256),
  bin: z.union([z.string(), z.record(z.string().regex(/^[\w.@-]{1,128}$/), z.string())]).optional(),
});
const lockSchema = z.object({
  packages: z.record(
    z.string().max(2_048),
    z.object({
      version: z.string().max(256).optional(),
      integrity: z.string().max(1_024).optional(),
      resolved: z.string().max(2_048).optional(),
    }),
  ),
});
const pypiSchema = z.object({
  name: z.string().max(256),
  programs: z.array(z.string().regex(/^[\w.-]{1,128}$/)).max(1_000),
  packages: z
    .array(
      z.object({ name: z.string().max(256), version: z.string().max(256), digest: z.string().max(256).optional() }),
    )
    .max(10_000),
});

async function run(argv: string[], env: Record<string, string>, options: InstallOptions): Promise<void> {
  const { client, explainLoss, server, onProgress, onLog, signal } = options;
  onLog?.(`[firebreak] installing: ${argv.at(-1)}\n`);
  const { exit, tail } = await runCommand(
    { argv, env: { ...env, HOME: "/root" }, timeoutMs: INSTALL_TIMEOUT_MS },
    {
      client,
      explainLoss,
      signal,
      tailLength: TAIL_LENGTH,
      onText: (text) => {
        onLog?.(text);
        const last = text.trimEnd().split("\n").at(-1)?.trim();
        if (last) onProgress?.({ step: "install", message: `installing '${server}': ${last.slice(0, 120)}` });
      },
    },
  );
  if (exit?.exitCode !== 0)
    throw failed(
      server,
      exit?.timedOut === true ? "it took more than 20 minutes" : `exit code ${exit?.exitCode ?? exit?.signal}`,
      tail,
    );
}

async function readJson<T>(options: InstallOptions, file: string, schema: z.ZodType<T>): Promise<T> {
  const { body } = await options.client.readFile(file, { length: MAX_FILE_BYTES });
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(piece as Buffer);
  try {
    return schema.parse(JSON.parse(Buffer.concat(pieces).toString("utf8")));
  } catch (cause) {
    throw new FirebreakError(
      "SERVER_INSTALL_FAILED",
      `the server '${options.server}': ${file} of its installation is not as it should be`,
      { cause },
    );
  }
}

function failed(server: string, why: string, tail: string): FirebreakError {
  const output = tail.trim() === "" ? "" : `; the output ends with: ${tail.trim()}`;
  return new FirebreakError("SERVER_INSTALL_FAILED", `the server '${server}' could not be installed: ${why}${output}`, {
    hint: installHint(tail),
    details: { server },
  });
}

/** What was asked for comes first, the rest by name. */
function first<T extends { name: string }>(packages: T[], name: string): T[] {
  const rest = packages.filter((each) => each.name !== name).sort((a, b) => (a.name < b.name ? -1 : 1));
  return [...packages.filter((each) => each.name === name), ...rest];
}
