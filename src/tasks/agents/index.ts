import type { TaskAgent } from "./agent.ts";
import { claude } from "./claude.ts";
import { codex } from "./codex.ts";
import { command } from "./command.ts";
import { copilot } from "./copilot.ts";
import { gemini } from "./gemini.ts";
import { opencode } from "./opencode.ts";

/** The agents that are built in. */
export const AGENTS: readonly TaskAgent[] = [claude, codex, gemini, opencode, copilot, command];
