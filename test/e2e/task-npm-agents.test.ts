import { testAgents } from "../support/npm-agents.ts";

testAgents("claude", "codex");
