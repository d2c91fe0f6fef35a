import type { ModelApi, OfferedTool } from "../../fakes/model-api/model-api.ts";

/** Where a coding agent finds its model; the port is one of its own loopback. */
export interface AgentPlace {
  /** A folder of its own, which is its HOME. */
  home: string;
  /** Without a path. */
  modelUrl: string;
  /** Long enough not to be taken for something to mask. */
  modelKey: string;
}

/** A command, and what it has in its environment beside PATH and HOME. */
export interface AgentCommand {
  argv: string[];
  env: Record<string, string>;
}

/** A file of an agent's home. */
export interface AgentFile {
  path: string;
  /** Merged into what a registration wrote there. */
  json: Record<string, unknown>;
}

/** A coding agent's command line, as it is run without a person. */
export interface Agent {
  /** As in `listRegistrations`. */
  name: string;
  /** The program, as npm installs it. */
  program: string;
  api: ModelApi;
  /** How the model sees the tool `name` of the server `firebreak`. */
  shown: (name: string) => Pick<OfferedTool, "name" | "namespace">;
  /** Folders of its home that it does not make by itself. */
  folders?: string[];
  /** Configuration that tells it of the model, and to leave everybody else alone. */
  files: (place: AgentPlace) => AgentFile[];
  /** The environment of every command of it. */
  env: (place: AgentPlace) => Record<string, string>;
  /** Has the model answer a prompt, with leave to call any tool. */
  ask: (prompt: string, place: AgentPlace) => string[];
  /** What `firebreak gen-config --client` calls it. */
  clientId: string;
}
