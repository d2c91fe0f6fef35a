import type { EgressRule } from "../../contract/policy.ts";
import type { AgentEvent, FinishReason, Tokens } from "../../contract/task-event.ts";

/** What an agent is asked to do. */
export interface AgentRequest {
  /** Absent for `command` alone. */
  prompt: string | undefined;
  /** The program and its arguments, for `command`. */
  argv: readonly string[] | undefined;
  model: string | undefined;
  maxTurns: number | undefined;
  /** US dollars; handed on to agents that keep to one themselves. firebreak watches it besides. */
  maxCostUsd: number | undefined;
  /** Where it works in the VM. */
  cwd: string;
  /** Where the model is spoken to instead of the maker's own address, without a version's path. */
  baseUrl: string | undefined;
}

/** How an agent is started in a VM. */
export interface AgentLaunch {
  argv: string[];
  env: Record<string, string>;
  /** Absolute path in the VM to content: settings that the agent reads from its home, `/root`. */
  files: Record<string, string>;
}

/** A package that a CLI comes in, at one version: installed once onto a drive of its own, which VMs have read-only. */
export interface AgentPackage {
  registry: "npm";
  name: string;
  version: string;
  /** Below the drive's `node_modules/.bin`. */
  program: string;
  /** A script below the package that Node runs once behind an installation without scripts: it puts the platform's program where the command is. */
  setup?: string;
  /** It is JavaScript: Node, at least 20, has to be in the VM's PATH. */
  needsNode?: boolean;
}

/** A secret that an agent speaks to its model with. In the VM it is a placeholder. Of an agent that has several, one of them is enough. */
export interface AgentSecret {
  /** Name of the secret in the vault and of the variable in the VM. */
  name: string;
  /** Where it may go, besides the request's base URL. */
  hosts: string[];
}

/** How an agent's output is read, line by line. One for each attempt of a task: it remembers what it has seen. */
export interface AgentReader {
  /**
   * A whole line of stdout without its end. Never throws: a line that is none of the agent's becomes `output`; one of an unknown type becomes
   * nothing, and is kept as it is beside the events.
   */
  line(text: string): AgentEvent[];
  /** What the agent's own last word makes of its end, when it has said one; the exit code decides otherwise. */
  readonly outcome: { reason: Extract<FinishReason, "completed" | "failed" | "budget">; message?: string } | undefined;
  /** All that has been used so far. */
  readonly tokens: Tokens[];
  /** The agent's own figure, US dollars. */
  readonly costUsd: number | undefined;
  /** How many turns it has begun: what the model has been asked, as far as the agent tells of that. */
  readonly turnsBegun: number;
}

/** A coding agent that firebreak knows how to start and to listen to. One file each in this folder. */
export interface TaskAgent {
  name: string;
  title: string;
  /** Absent for what is in the image. */
  package?: AgentPackage;
  /** What it needs at least, MiB. */
  memoryMib: number;
  /** Rules of the VM's allowlist: where the model is. Nothing else that it would like to reach is of use. */
  hosts: EgressRule[];
  secrets: AgentSecret[];
  /** It keeps to a number of turns itself; others are ended by firebreak. */
  keepsTurns?: boolean;
  /** What it does is the same with any model: one that is asked for would be lost. */
  takesNoModel?: boolean;
  /** Throws INVALID_ARGUMENT when the request lacks what it needs. */
  launch(request: AgentRequest): AgentLaunch;
  /** Absent: its output is shown as it is. */
  createReader?(): AgentReader;
}
