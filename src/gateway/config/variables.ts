import path from "node:path";
import type { ClientInput } from "./client-file.ts";
import { referTo } from "./references.ts";

/** What the variables of clients' files stand for here. */
export interface VariableContext {
  home: string;
  /** The folder of the file. */
  folder: string;
  inputs: readonly ClientInput[];
  /** The secret that takes the place of a variable; `wanted` is the name that fits. */
  secretFor(variable: string, about: { wanted: string; from: string }): string;
  warn(message: string): void;
}

/** `${env:NAME}`, `${NAME:-default}`, `${input:id}`, opencode's `{env:NAME}`. */
const VARIABLE = /\$\{([^{}]*)\}|\{(env|file):([^{}]*)\}/g;

/** Of this host, and of no meaning in a VM. */
const HOSTS_OWN = new Set([
  "PATH",
  "USER",
  "LOGNAME",
  "SHELL",
  "LANG",
  "TERM",
  "TMPDIR",
  "PWD",
  "DISPLAY",
  "XDG_RUNTIME_DIR",
]);

/** A text without the variables of its client. Those that only its environment or its user could fill in become secrets. */
export function replaceVariables(text: string, context: VariableContext): string {
  return text.replaceAll(VARIABLE, (whole, inBraces: string | undefined, kind: string | undefined, name: string) => {
    const inner = inBraces ?? `${kind}:${name}`;
    return replaceOne(inner, whole, context);
  });
}

/** The variable that a text is and nothing else: `${NAME}`, and Gemini CLI's `$NAME`. */
export function soleVariable(text: string): { kind: "env" | "input"; name: string; fallback?: string } | undefined {
  const [, bare] = /^\$([A-Za-z_]\w*)$/.exec(text) ?? [];
  if (bare !== undefined) return { kind: "env", name: bare };
  const [, inBraces, inOpencode] = /^(?:\$\{([^{}]*)\}|\{env:([^{}]*)\})$/.exec(text) ?? [];
  return inOpencode !== undefined
    ? readVariable(`env:${inOpencode}`)
    : inBraces === undefined
      ? undefined
      : readVariable(inBraces);
}

function readVariable(inner: string): ReturnType<typeof soleVariable> {
  const [, kind, name = "", fallback] = /^(?:(env|input):)?([\w.-]+)(?::-(.*))?$/s.exec(inner) ?? [];
  if (name === "" || PLACES.has(name)) return undefined;
  if (kind === "input") return { kind, name };
  if (!/^[A-Za-z_]\w*$/.test(name)) return undefined;
  return { kind: "env", name, ...(fallback === undefined ? {} : { fallback }) };
}

/** VS Code's names of folders. */
const PLACES = new Set([
  "workspaceFolder",
  "workspaceRoot",
  "workspaceFolderBasename",
  "userHome",
  "cwd",
  "pathSeparator",
]);

function replaceOne(inner: string, whole: string, context: VariableContext): string {
  if (inner.startsWith("secret:")) return whole;
  const workspace = /^\.(?:vscode|cursor|gemini|mcp)$/.test(path.basename(context.folder))
    ? path.dirname(context.folder)
    : context.folder;
  if (inner === "workspaceFolder" || inner === "workspaceRoot" || inner === "cwd") return workspace;
  if (inner === "workspaceFolderBasename") return path.basename(workspace);
  if (inner === "userHome" || inner === "HOME" || inner === "env:HOME") return context.home;
  if (inner === "pathSeparator" || inner === "/") return "/";
  const variable = readVariable(inner);
  if (variable === undefined) {
    context.warn(`${whole} is left as it is: nothing here knows what it stands for`);
    return whole;
  }
  if (variable.fallback) {
    context.warn(`${whole} is '${variable.fallback}' here: a VM has no variable of the client's`);
    return variable.fallback;
  }
  if (HOSTS_OWN.has(variable.name)) {
    context.warn(`${whole} is left out: this host's ${variable.name} means nothing in a VM`);
    return "";
  }
  return referTo(context.secretFor(`${variable.kind}:${variable.name}`, { wanted: variable.name, from: whole }));
}

export function isHostsOwn(name: string): boolean {
  return HOSTS_OWN.has(name);
}
