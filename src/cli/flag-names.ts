import type { Command } from "commander";
import type { FirebreakError } from "../errors/firebreak-error.ts";

/**
 * Flags that fill fields of another name, by the fields' place in a request. A field that is called as its flag is (`maxTurns` and
 * `--max-turns`) needs no line. Which of several is meant is told by the command, which has one of them.
 */
export const FLAGS_OF_FIELDS: Readonly<Record<string, readonly string[]>> = {
  memoryMib: ["--memory"],
  diskMib: ["--disk"],
  sizeMib: ["--size"],
  maxCostUsd: ["--max-cost"],
  timeoutMs: ["--timeout"],
  idleTimeoutMs: ["--idle-timeout"],
  maxLifetimeMs: ["--max-lifetime"],
  admissionWaitMs: ["--wait-for-memory"],
  deadlineAt: ["--deadline"],
  lifeMs: ["--expires"],
  maxRetries: ["--retries", "--restart"],
  labels: ["--label"],
  files: ["--file"],
  webhooks: ["--webhook"],
  secrets: ["--secret"],
  volumes: ["--volume"],
  mounts: ["--mount"],
  hosts: ["--host"],
  address: ["--listen"],
  allowedHosts: ["--allow-host"],
  "network.mode": ["--network"],
  "network.allow": ["--allow"],
  "network.deny": ["--deny"],
  "workspace.git": ["--git"],
  "workspace.ref": ["--git"],
  "workspace.directory": ["--workspace"],
  "workspace.guestPath": ["--workspace-path"],
  "workspace.exclude": ["--exclude"],
};
/** Of these the next word of a field is a key of the user's own; of all others it is how the daemon has it. */
const RECORDS = new Set(["env", "labels", "files"]);
/** Parts of a request that a command's flags fill as if there were no part. */
const PARTS = new Set(["vm", "exec"]);

/** The error's message with the flag of the command line that fills the field which the daemon has named. */
export function withFlag(error: FirebreakError, command: Command): string {
  if (error.code === "POLICY_INVALID") return withRuleFlags(error.message, command);
  const { message } = error;
  // Checks outside of a request's schema name the field in their message alone.
  const field = error.details?.field ?? (error.code === "INVALID_ARGUMENT" ? /^(\w+):/.exec(message)?.[1] : undefined);
  if (typeof field !== "string" || !message.startsWith(`${field}:`)) return message;
  const words = field.split(".");
  if (words.length > 1 && PARTS.has(words[0] ?? "")) words.shift();
  const flag = findFlag(words, command);
  return flag === undefined ? message : `${flag}${message.slice(field.length)}`;
}

/** A policy's rules (`allow[2]: …; deny[0]: …`); those of a file come with their place in it. */
function withRuleFlags(message: string, command: Command): string {
  return message.replaceAll(/(^|; )(allow|deny)\[(\d+)\](?=:)/g, (all, before: string, list: string, index: string) => {
    const flag = findFlag(["network", list, index], command);
    return flag === undefined ? all : `${before}${flag}`;
  });
}

/** By the longest beginning of a field that one of the command's flags is for; else by its last word, in whatever part of the request it is. */
function findFlag(words: readonly string[], command: Command): string | undefined {
  for (let length = words.length; length > 0; length--) {
    const option = optionOf(words.slice(0, length).join("."), command);
    if (option !== undefined) return `${option.long}${restOf(words, length, command.opts()[option.attributeName()])}`;
  }
  const own = optionOf(words.at(-1) ?? "", command);
  return own?.long;
}

function optionOf(field: string, command: Command) {
  const flags = Object.hasOwn(FLAGS_OF_FIELDS, field) ? FLAGS_OF_FIELDS[field] : undefined;
  return command.options.find((option) =>
    flags === undefined ? option.attributeName() === field : flags.includes(option.long ?? ""),
  );
}

/** Which one of a flag's values it is, where there are several. */
function restOf(words: readonly string[], length: number, given: unknown): string {
  const rest = words.slice(length);
  if (RECORDS.has(words[length - 1] ?? "")) return rest.length === 0 ? "" : ` ${rest.join(".")}`;
  const isOneOfMany = /^\d+$/.test(rest[0] ?? "") && Array.isArray(given) && given.length > 1;
  return isOneOfMany ? ` (number ${Number(rest[0]) + 1})` : "";
}
