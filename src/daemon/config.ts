import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { parse } from "smol-toml";
import { z } from "zod";
import { type Prices, pricesSchema } from "../contract/host.ts";
import { MAX_RULES, ruleSchema } from "../contract/policy.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { findNearest } from "../errors/nearest.ts";
import { type HostSetup, readRegistries } from "../network/registries.ts";
import type { NamedSets } from "../network/rules.ts";
import { createSets } from "../network/sets.ts";

/** The guest agent takes 64 KiB, of which the VM's own needs some. */
const MAX_TRUST_BYTES = 60 * 1024;

/** $FIREBREAK_HOME/firebreak.toml: what the owner of an installation decides. */
const networkSchema = z.strictObject({
  /** Rules by the name of a set, for `--allow NAME`. */
  sets: z.record(z.string().regex(/^[a-z][a-z0-9-]{0,62}$/), z.array(ruleSchema).max(MAX_RULES)).optional(),
  /** Files of certificates (PEM) that VMs with a way out trust besides their own: of a network that opens TLS itself. */
  trust: z.array(z.string().startsWith("/", "an absolute path")).max(16).optional(),
});
const configSchema = z.strictObject({ prices: pricesSchema.optional(), network: networkSchema.optional() });
export type Config = z.infer<typeof configSchema>;

/** Reads the configuration; an absent file is an empty one. Throws CONFIG_INVALID, which names the line or the key. */
export async function readConfig(file: string): Promise<Config> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw invalid(file, `it cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  return parseConfig(text, file);
}

export function parseConfig(text: string, file: string): Config {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw invalid(file, (error as Error).message.split("\n")[0] ?? "it is not TOML");
  }
  const parsed = configSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  // A misspelt key explains the one that is missing.
  const issue = (issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0]) as z.core.$ZodIssue;
  if (issue.code !== "unrecognized_keys") throw invalid(file, `${issue.path.join(".")}: ${issue.message}`);
  const [key = ""] = issue.keys;
  const tables: Record<string, { shape: object }> = { prices: pricesSchema, network: networkSchema };
  const known = Object.keys((tables[String(issue.path[0])] ?? configSchema).shape);
  const nearest = findNearest(key, known);
  const meant = nearest === undefined ? `there are ${known.join(", ")}` : `did you mean '${nearest}'?`;
  throw invalid(file, `there is no key '${[...issue.path, key].join(".")}', ${meant}`);
}

function invalid(file: string, why: string): FirebreakError {
  return new FirebreakError("CONFIG_INVALID", `${file}: ${why}`, {
    hint: "Correct the file; it is read anew each time.",
  });
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
    throw invalid(file, `network.trust: more than ${MAX_TRUST_BYTES} bytes of certificates`);
  return text;
}

function readPem(path: string, file: string): string {
  try {
    const found = readFileSync(path, "utf8").match(
      /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g,
    );
    if (found !== null) return found.join("\n");
  } catch (error) {
    throw invalid(file, `network.trust: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  throw invalid(file, `network.trust: ${path} holds no certificate in PEM`);
}

/** Throws PRICES_NOT_SET: costs that nobody has named are not made up. */
export async function readPrices(file: string): Promise<Prices> {
  const { prices } = await readConfig(file);
  if (prices !== undefined) return prices;
  throw new FirebreakError("PRICES_NOT_SET", `there are no [prices] in ${file}`, {
    hint: 'Put in, with your own figures: [prices] currency = "EUR", cpu_hour = 0.01, gib_hour = 0.005',
  });
}
