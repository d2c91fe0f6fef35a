import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { readInput } from "./read-input.ts";

export interface SecretSourceOptions {
  fromEnv?: string;
  fromFile?: string;
  keepNewline?: boolean;
}

/** A secret's value from where the options say, or from stdin, or asked for on a terminal without showing it. Never from the command line, which others can read. */
export async function readSecret(name: string, options: SecretSourceOptions): Promise<string> {
  const { fromEnv, fromFile } = options;
  if (fromEnv !== undefined && fromFile !== undefined)
    throw new FirebreakError("INVALID_ARGUMENT", "--from-env and --from-file exclude each other");
  if (fromEnv !== undefined) {
    const value = process.env[fromEnv];
    // What this command starts has no use for it.
    delete process.env[fromEnv];
    if (value !== undefined && value !== "") return value;
    throw new FirebreakError("INVALID_ARGUMENT", `--from-env: the variable ${fromEnv} is not set here`);
  }
  if (fromFile !== undefined) return tidy(await readText(fromFile), options);
  if (!process.stdin.isTTY) return tidy(await readText("-"), options);
  return ask(`Value of ${name} (not shown): `);
}

async function readText(file: string): Promise<string> {
  const bytes = await readInput(file);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FirebreakError("SECRET_INVALID", "the value is not UTF-8");
  }
}

/** Editors and `echo` end a line that is none of the value's. */
function tidy(text: string, { keepNewline }: SecretSourceOptions): string {
  return keepNewline ? text : text.replace(/\r?\n$/, "");
}

async function ask(question: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: silent, terminal: true });
  reader.once("SIGINT", () => process.exit(130));
  // Now that the terminal does not show what is typed.
  process.stderr.write(question);
  try {
    return await reader.question("");
  } finally {
    reader.close();
    process.stderr.write("\n");
  }
}
