import { FirebreakError } from "../errors/firebreak-error.ts";
import { splitWords, WordError } from "./build-words.ts";

/** One instruction of a build file after FROM. `text` is what stands behind the keyword; variables in it are not expanded yet. */
export type BuildStep = { line: number; text: string } & (
  | { kind: "run" | "cmd" | "entrypoint"; argv: string[] }
  | { kind: "copy" | "env" | "workdir" | "user" }
);

export interface BuildFile {
  /** The name or digest of an image that is here. */
  from: string;
  steps: BuildStep[];
}

export const MAX_BUILD_FILE_BYTES = 256 * 1024;
const MAX_STEPS = 1000;
const SHELL = ["/bin/sh", "-c"];
const SUPPORTED = "FROM, RUN, COPY, ENV, WORKDIR, USER, ENTRYPOINT and CMD";

/**
 * Parses a build file: a part of the Dockerfile's language, in which an instruction means what it means there. What is not supported is
 * an error with its line, never something that is left out. Throws BUILD_FILE_INVALID.
 */
export function parseBuildFile(source: string): BuildFile {
  if (source.length > MAX_BUILD_FILE_BYTES)
    throw invalidFile(1, `a build file has at most ${MAX_BUILD_FILE_BYTES} bytes`);
  const [first, ...rest] = joinLines(source);
  if (first === undefined) throw invalidFile(1, "it is empty; it begins with FROM");
  const { keyword, text } = splitLine(first);
  if (keyword !== "FROM") throw invalidFile(first.line, `it begins with FROM, not with ${keyword}`);
  const words = wordsOf(first.line, text);
  if (words.length !== 1) throw invalidFile(first.line, "FROM takes one image; stages and flags are not supported");
  if (rest.length > MAX_STEPS)
    throw invalidFile(rest[MAX_STEPS]?.line ?? 1, `it has more than ${MAX_STEPS} instructions`);
  return { from: words[0] as string, steps: rest.map(toStep) };
}

/** What a COPY names: at least one source, and the target behind them. */
export function copyOperands(step: BuildStep, lookup: (name: string) => string): { sources: string[]; target: string } {
  const words = step.text.startsWith("[") ? parseJsonWords(step) : wordsOf(step.line, step.text, lookup);
  const target = words.at(-1);
  if (words.length < 2 || target === undefined)
    throw invalidFile(step.line, "COPY takes one or more sources and a target");
  const sources = words.slice(0, -1);
  for (const source of sources)
    if (/[*?[\]]/.test(source))
      throw invalidFile(step.line, `patterns such as ${JSON.stringify(source)} are not supported`);
  return { sources, target };
}

/** `NAME=VALUE …`, or the older `NAME VALUE`. */
export function envPairs(step: BuildStep, lookup: (name: string) => string): [name: string, value: string][] {
  const words = wordsOf(step.line, step.text, lookup);
  const [first = ""] = words;
  const isOld = !first.includes("=");
  const pairs = isOld
    ? [[first, words.slice(1).join(" ")] as [string, string]]
    : words.map((word): [string, string] => {
        const at = word.indexOf("=");
        if (at < 0) throw invalidFile(step.line, `${JSON.stringify(word)} has no '='`);
        return [word.slice(0, at), word.slice(at + 1)];
      });
  for (const [name] of pairs)
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw invalidFile(step.line, `${JSON.stringify(name)} cannot name a variable`);
  if (isOld && words.length < 2) throw invalidFile(step.line, "ENV takes NAME=VALUE");
  return pairs;
}

/** The one operand of WORKDIR or USER. */
export function singleWord(step: BuildStep, lookup: (name: string) => string): string {
  const words = wordsOf(step.line, step.text, lookup);
  if (words.length === 1 && words[0] !== "") return words[0] as string;
  throw invalidFile(step.line, `${step.kind.toUpperCase()} takes one word`);
}

export function invalidFile(line: number, why: string): FirebreakError {
  return new FirebreakError("BUILD_FILE_INVALID", `the build file, line ${line}: ${why}`, { details: { line } });
}

interface Line {
  line: number;
  text: string;
}

/** Instructions with the numbers of their first lines: comments left out, lines that end with '\' joined. */
function joinLines(source: string): Line[] {
  const lines: Line[] = [];
  let open: Line | undefined;
  for (const [index, physical] of source
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .entries()) {
    if (index === 0 && /^#\s*escape\s*=/i.test(physical))
      throw invalidFile(1, "another escape character is not supported");
    if (/^\s*#/.test(physical) || physical.trim() === "") continue;
    const continues = /(?<!\\)(\\\\)*\\\s*$/.test(physical);
    const text = continues ? physical.replace(/\\\s*$/, "") : physical;
    if (open === undefined) open = { line: index + 1, text };
    else open.text += text;
    if (continues) continue;
    lines.push(open);
    open = undefined;
  }
  if (open !== undefined) lines.push(open);
  return lines;
}

function splitLine({ text }: Line): { keyword: string; text: string } {
  const [, keyword = "", rest = ""] = /^\s*(\S+)\s*(.*)$/s.exec(text) ?? [];
  return { keyword: keyword.toUpperCase(), text: rest.trim() };
}

function toStep(source: Line): BuildStep {
  const { line } = source;
  const { keyword, text } = splitLine(source);
  const nothing = () => "";
  if (/^--[a-z]/.test(text)) throw invalidFile(line, `${keyword} with flags is not supported`);
  if (text.includes("<<") && /<<-?["']?[A-Za-z_]/.test(text) && (keyword === "RUN" || keyword === "COPY"))
    throw invalidFile(line, "here-documents are not supported");
  if (text === "") throw invalidFile(line, `${keyword} needs something behind it`);
  if (keyword === "RUN" || keyword === "CMD" || keyword === "ENTRYPOINT") {
    const kind = keyword.toLowerCase() as "run" | "cmd" | "entrypoint";
    const argv = text.startsWith("[") ? parseJsonWords({ line, text }) : [...SHELL, text];
    if (argv.length === 0) throw invalidFile(line, `${keyword} names no program`);
    return { kind, line, text, argv };
  }
  if (keyword === "COPY" || keyword === "ENV" || keyword === "WORKDIR" || keyword === "USER") {
    const step: BuildStep = { kind: keyword.toLowerCase() as "copy" | "env" | "workdir" | "user", line, text };
    // What is wrong with it is found before anything is begun; variables have values only then.
    if (step.kind === "copy") copyOperands(step, nothing);
    else if (step.kind === "env") envPairs(step, nothing);
    else if (!text.includes("$")) singleWord(step, nothing);
    return step;
  }
  if (keyword === "FROM") throw invalidFile(line, "stages are not supported: there is one FROM");
  throw new FirebreakError(
    "BUILD_FILE_INVALID",
    `the build file, line ${line}: ${JSON.stringify(keyword.slice(0, 50))} is not supported`,
    {
      hint: `There are ${SUPPORTED}.`,
      details: { line },
    },
  );
}

function parseJsonWords({ line, text }: Line): string[] {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value) && value.every((word) => typeof word === "string" && !word.includes("\0"))) return value;
  } catch {
    // Said below.
  }
  throw invalidFile(line, "what begins with '[' is a list of strings in JSON");
}

function wordsOf(line: number, text: string, lookup: (name: string) => string = () => ""): string[] {
  try {
    return splitWords(text, lookup);
  } catch (error) {
    throw error instanceof WordError ? invalidFile(line, error.message) : error;
  }
}
