import type { Finding, Severity } from "../../contract/scan.ts";
import type { Definition } from "./definitions.ts";
import type { Walk } from "./walk.ts";

/** One definition, looked through once for all rules; of kind `server`: what the server says of itself. */
export interface Subject {
  kind: Finding["kind"];
  name: string;
  definition: Definition;
  walk: Walk;
  /** The texts, each also in the plain form that words are looked for in (plain-text.ts). */
  plain: readonly { where: string; text: string; isKey: boolean }[];
}

export type Report = (severity: Severity, message: string, where: string) => void;

/** Looks at one definition. */
export interface Rule {
  code: string;
  check: (subject: Subject, report: Report) => void;
}

export interface Surroundings {
  server: string;
  /** What clients put before a tool's name, besides the gateway's own `server__`. */
  clientPrefix: string;
  otherServers: readonly { name: string; tools: readonly string[] }[];
}

/** Looks at all definitions of a server together. */
export interface SetRule {
  code: string;
  check: (
    subjects: readonly Subject[],
    around: Surroundings,
    report: (subject: Subject, ...found: Parameters<Report>) => void,
  ) => void;
}
