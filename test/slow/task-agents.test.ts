import { testAgents } from "../support/npm-agents.ts";

testAgents("opencode", "gemini", "pilot");
