import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { AgentRequest } from "./agent.ts";

/** What every agent has in its environment. */
export const BASE_ENV: Readonly<Record<string, string>> = {
  HOME: "/root",
  LANG: "C.UTF-8",
  TERM: "dumb",
  NO_COLOR: "1",
  // The VM is there to be changed: agents that refuse to work as root otherwise do.
  IS_SANDBOX: "1",
};

/** Throws INVALID_ARGUMENT without one. */
export function promptOf({ prompt }: AgentRequest, agent: string): string {
  if (prompt !== undefined && prompt.trim() !== "") return prompt;
  throw new FirebreakError("INVALID_ARGUMENT", `${agent} needs a prompt`);
}

/** Throws INVALID_ARGUMENT without one, of agents that cannot know which models there are at a base URL. */
export function modelOf({ model }: AgentRequest, agent: string): string {
  if (model !== undefined && model !== "") return model;
  throw new FirebreakError("INVALID_ARGUMENT", `${agent} needs a model's name along with a base URL`);
}

/** The base URL without a slash at its end. */
export function baseOf({ baseUrl }: AgentRequest): string | undefined {
  return baseUrl?.replace(/\/+$/, "");
}
