import { readDurationMs, readMib, SIZE_WANTED, TIME_WANTED } from "../contract/quantities.ts";
import { RESTART_POLICIES, type RestartPolicy } from "../contract/vm.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** Option values of the command line, turned into what the API takes. Each throws INVALID_ARGUMENT. */

/** `512`, `512M`, `2G`: MiB. */
export function parseMib(flag: string, value: string): number {
  const mib = readMib(value);
  if (mib === undefined) throw invalid(flag, value, SIZE_WANTED);
  return mib;
}

/** `30`, `30s`, `500ms`, `5m`, `1h`, `30d`: milliseconds. */
export function parseDurationMs(flag: string, value: string): number {
  const ms = readDurationMs(value);
  if (ms === undefined) throw invalid(flag, value, TIME_WANTED);
  return ms;
}

export function parseCount(flag: string, value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw invalid(flag, value, "a whole number");
  return Number(value);
}

/** `NAME:/path`, or `NAME:/path:ro`: a volume, where it is mounted, and how. */
export function parseVolume(text: string): { volume: string; path: string; readOnly?: boolean } {
  const match = /^([^:]+):(\/[^:]*)(?::(ro|rw))?$/.exec(text);
  if (match === null) throw invalid("--volume", text, "NAME:/path or NAME:/path:ro");
  const [, volume = "", path = "", access] = match;
  return { volume, path, ...(access === "ro" ? { readOnly: true } : {}) };
}

/** `NAME=VALUE`, or `NAME` for the value that it has here. */
export function parseEnv(pairs: string[], env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const result: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    const name = at < 0 ? pair : pair.slice(0, at);
    const value = at < 0 ? env[name] : pair.slice(at + 1);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw invalid("--env", pair, "NAME=VALUE, or NAME to pass this shell's value on");
    if (value === undefined)
      throw new FirebreakError("INVALID_ARGUMENT", `--env: ${name} is not set in this shell`, {
        hint: `Give it a value: --env ${name}=VALUE`,
      });
    result[name] = value;
  }
  return result;
}

/** `KEY=VALUE`, each. */
export function parseLabels(pairs: string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw invalid("--label", pair, "KEY=VALUE");
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

/** `never`, `on-failure`, `on-failure:5`, `always`. */
export function parseRestart(value: string): RestartPolicy {
  const [word, retries] = value.split(":");
  const policy = RESTART_POLICIES.find((candidate) => candidate === word);
  const mayHaveRetries = policy === "on-failure" || policy === "always";
  if (policy === undefined || (retries !== undefined && !mayHaveRetries))
    throw invalid(
      "--restart",
      value,
      "never, on-failure, always, or one of these two with a number, such as on-failure:5",
    );
  return { policy, ...(retries === undefined ? {} : { maxRetries: parseCount("--restart", retries) }) };
}

function invalid(flag: string, value: string, wanted: string): FirebreakError {
  return new FirebreakError("INVALID_ARGUMENT", `${flag}: '${value}' is not ${wanted}`);
}

/** A time, or so long ago. Throws INVALID_ARGUMENT. */
export function parseSince(text: string, option = "--since"): Date {
  const time = /^\d{4}-\d\d/.test(text) ? new Date(text) : new Date(Date.now() - parseDurationMs(option, text));
  if (Number.isNaN(time.getTime()))
    throw new FirebreakError("INVALID_ARGUMENT", `${option}: '${text}' is not a time such as 2026-01-31T12:00, or 2h`);
  return time;
}
