import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import os from "node:os";
import type { AuditSettings } from "../audit/service.ts";
import type { Prices } from "../contract/host.ts";
import { readDurationMs, readMib } from "../contract/quantities.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { configError } from "../gateway/config/document.ts";
import { readFirebreakToml, readOwnerTables } from "../gateway/config/firebreak-toml.ts";
import type { OwnerTables } from "../gateway/config/schema.ts";
import { type HostSetup, readRegistries } from "../network/registries.ts";
import type { NamedSets } from "../network/rules.ts";
import { createSets } from "../network/sets.ts";
import type { TaskSettings } from "../tasks/settings.ts";

/** The guest agent takes 64 KiB, of which the VM's own needs some. */
const MAX_TRUST_BYTES = 60 * 1024;

/** What the owner of an installation decides: `[prices]`, `[network]`, `[audit]`, `[vms]` and `[telemetry]` of $FIREBREAK_HOME/firebreak.toml; its servers are the gateway's. */
export type Config = OwnerTables;

/** Reads the configuration; an absent file is an empty one. Throws CONFIG_INVALID, which names the line or the key. */
export async function readConfig(file: string): Promise<Config> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw configError({ file }, `it cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  return parseConfig(text, file);
}

/** Throws CONFIG_INVALID, which names line and key. */
export function parseConfig(text: string, file: string): Config {
  return readOwnerTables(readFirebreakToml(text, file));
}

/** The sets of rules that policies may name, as host and configuration have them now. Throws CONFIG_INVALID. */
export function readSets(file: string, host: HostSetup): NamedSets {
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  return createSets(readRegistries(host), parseConfig(text, file).network?.sets);
}

/** The certificates of `[network] trust`; undefined for none. Throws CONFIG_INVALID. */
export function readTrust(file: string): string | undefined {
  const paths = parseConfig(existsSync(file) ? readFileSync(file, "utf8") : "", file).network?.trust ?? [];
  if (paths.length === 0) return undefined;
  const text = paths.map((path) => readPem(path, file)).join("\n");
  if (text.length > MAX_TRUST_BYTES)
    throw configError(
      { file, key: "network.trust" },
      `more than ${MAX_TRUST_BYTES} bytes of certificates; name that of what opens TLS in this network, and no host's whole bundle`,
    );
  return text;
}

function readPem(path: string, file: string): string {
  try {
    const found = readFileSync(path, "utf8").match(
      /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g,
    );
    if (found !== null) return found.join("\n");
  } catch (error) {
    throw configError(
      { file, key: "network.trust" },
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  throw configError({ file, key: "network.trust" }, `${path} holds no certificate in PEM`);
}

/** Throws PRICES_NOT_SET: costs that nobody has named are not made up. */
export async function readPrices(file: string): Promise<Prices> {
  const { prices } = await readConfig(file);
  if (prices !== undefined) return prices;
  throw new FirebreakError("PRICES_NOT_SET", `there are no [prices] in ${file}`, {
    hint: 'Put in, with your own figures: [prices] currency = "EUR", cpu_hour = 0.01, gib_hour = 0.005',
  });
}

/** `[audit]`. Throws CONFIG_INVALID. */
export function readAuditSettings(file: string): AuditSettings {
  const { audit } = parseConfig(existsSync(file) ? readFileSync(file, "utf8") : "", file);
  const maxMib = audit?.max_size === undefined ? undefined : readMib(String(audit.max_size));
  return {
    keepsArguments: audit?.arguments ?? false,
    whenFailing: audit?.when_failing ?? "continue",
    retention: {
      keepMs: audit?.keep === undefined ? undefined : readDurationMs(String(audit.keep)),
      maxBytes: maxMib === undefined ? undefined : maxMib * 1024 * 1024,
    },
  };
}

/** A part of the configuration, read anew at each call. A file that is wrong at the moment, such as one that is being edited, holds nobody up: what it said last holds, and the log tells. */
export function watchConfig<T>(
  file: string,
  select: (config: Config) => T,
  log: (message: string, fields: Record<string, unknown>) => void,
): () => T {
  let last = select({});
  return () => {
    try {
      last = select(parseConfig(existsSync(file) ? readFileSync(file, "utf8") : "", file));
    } catch (error) {
      log("the configuration is not read", { error: (error as Error).message });
    }
    return last;
  };
}

const DEFAULT_BUDGET_WINDOW_MS = 30 * 24 * 3600_000;
const DEFAULT_KEEP_MS = 30 * 24 * 3600_000;

/** `[tasks]`. Throws CONFIG_INVALID. */
export function toTaskSettings({ tasks }: Config): TaskSettings {
  const byProcessors = 2 * os.availableParallelism();
  const maxRunning = tasks?.max_running ?? byProcessors;
  return {
    maxRunning,
    // Of tasks with one CPU each, as many work as may run.
    maxCpus: tasks?.max_cpus ?? Math.max(byProcessors, maxRunning),
    maxPerUser: tasks?.max_per_user,
    maxPerLabel: tasks?.max_per_label ?? {},
    keepMs: tasks?.keep ?? DEFAULT_KEEP_MS,
    budget:
      tasks?.budget_per_user === undefined
        ? undefined
        : { perUserUsd: tasks.budget_per_user, windowMs: tasks.budget_window ?? DEFAULT_BUDGET_WINDOW_MS },
    storage: tasks?.storage === undefined ? undefined : toStorage(tasks.storage, tasks),
  };
}

function toStorage(place: string, tasks: NonNullable<Config["tasks"]>): TaskSettings["storage"] {
  const [bucket = "", ...prefix] = place.slice("s3://".length).split("/");
  const { id, secret, token } = tasks.storage_keys ?? { id: "AWS_ACCESS_KEY_ID", secret: "AWS_SECRET_ACCESS_KEY" };
  return {
    bucket,
    prefix: prefix.filter((part) => part !== "").join("/"),
    endpoint: tasks.storage_endpoint,
    region: tasks.storage_region ?? "us-east-1",
    keys: { id, secret, token },
  };
}

/** What is read from a file for each call is read once a second. */
export function cached<T>(read: () => T): () => T {
  let kept: { value: T; untilMs: number } | undefined;
  return () => {
    const now = performance.now();
    if (kept === undefined || now > kept.untilMs) kept = { value: read(), untilMs: now + 1_000 };
    return kept.value;
  };
}
