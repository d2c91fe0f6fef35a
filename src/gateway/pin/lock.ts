import type { DefinitionKind, Severity } from "../../contract/scan.ts";

/** What was approved of one server. */
export interface LockServer {
  /** What was installed, such as an npm package. */
  package?: string;
  packageVersion?: string;
  /** Of that package alone, as its registry says it. */
  packageDigest?: string;
  /** SHA-256 of all that was installed: names, versions and digests. */
  packagesDigest?: string;
  /** Place in a registry of the image that it is, or is installed in. */
  image?: string;
  /** Of that, as its registry has it. */
  imageDigest?: string;
  /** Of MCP, as agreed on with the server. */
  protocolVersion?: string;
  scan?: LockScan;
  /** Name (of resources the URI) → hash, by kind. */
  definitions: Readonly<Record<DefinitionKind, ReadonlyMap<string, string>>>;
}

export interface LockScan {
  verdict: "ok" | "warning" | "danger" | "failed";
  /** ISO 8601. */
  at: string;
  /** Where and what (`findingKey`) → how grave. */
  findings: ReadonlyMap<string, Severity>;
}

/** What was approved, by server. */
export type Lock = ReadonlyMap<string, LockServer>;

export const EMPTY_LOCK: Lock = new Map();

export function noDefinitions(): Record<DefinitionKind, Map<string, string>> {
  return { tool: new Map(), prompt: new Map(), resource: new Map(), resource_template: new Map() };
}
