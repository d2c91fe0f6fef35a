import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { SshPaths } from "./keys.ts";

/** `firebreak-web` is how ssh calls the VM `web`. */
export const HOST_PREFIX = "firebreak-";
const MARK = "# firebreak: removed again by 'firebreak ssh-config --remove'";

export interface SshConfigOptions {
  paths: SshPaths;
  /** The program that ssh is to run. */
  program: string;
  /** What it needs in its environment to find this installation. */
  env: Record<string, string>;
}

/** The entries of some VMs by name, and the one that holds for every VM. */
export function renderConfig(vms: readonly string[], options: SshConfigOptions): string {
  return [...vms, "*"].map((vm) => renderHost(vm, options)).join("\n");
}

/** A guest is not to be trusted with this host's agent, display, passwords or further keys. */
function renderHost(vm: string, { paths, program, env }: SshConfigOptions): string {
  const variables = Object.entries(env).map(([name, value]) => quoteForShell(`${name}=${value}`));
  const command = [...(variables.length === 0 ? [] : ["env", ...variables]), quoteForShell(program)];
  const host = `${HOST_PREFIX}${vm}`;
  const knownHosts = quote(escapePercent(paths.knownHosts), `/${vm === "*" ? "%n" : host}`);
  const lines = [
    "User root",
    `ProxyCommand ${escapePercent(command.join(" "))} vm ssh-proxy %n`,
    ...(vm === "*" ? [] : [`HostKeyAlias ${host}`]),
    `IdentityFile ${quote(escapePercent(paths.privateKey))}`,
    "IdentitiesOnly yes",
    "IdentityAgent none",
    `UserKnownHostsFile ${knownHosts}`,
    "GlobalKnownHostsFile /dev/null",
    "StrictHostKeyChecking yes",
    "UpdateHostKeys no",
    "ForwardAgent no",
    "ForwardX11 no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "ServerAliveInterval 15",
    "ServerAliveCountMax 8",
  ];
  return `Host ${host}\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

function quoteForShell(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function escapePercent(text: string): string {
  return text.replaceAll("%", "%%");
}

function quote(path: string, rest = ""): string {
  if (/["\n\\]/.test(path))
    throw new FirebreakError("INVALID_PATH", `ssh's configuration cannot hold the path ${JSON.stringify(path)}`, {
      hint: "Set FIREBREAK_HOME to a folder without quotes, backslashes and line ends in its path.",
    });
  return `"${path}${rest}"`;
}

/** The user's configuration with ours in it, first, so that no general entry of theirs overrules it; as it is when it is there already. */
export function addInclude(text: string, config: string): string {
  const line = `Include ${quote(config)}`;
  return text.split("\n").includes(line) ? text : `${MARK}\n${line}\n${text === "" ? "" : `\n${text}`}`;
}

/** The same without it, as it was before. */
export function removeInclude(text: string, config: string): string {
  const lines = text.split("\n");
  const at = lines.indexOf(`Include ${quote(config)}`);
  if (at < 0) return text;
  const from = lines[at - 1] === MARK ? at - 1 : at;
  const to = from < at && lines[at + 1] === "" ? at + 2 : at + 1;
  return [...lines.slice(0, from), ...lines.slice(to)].join("\n");
}
