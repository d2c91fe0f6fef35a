import { MemoryMcpSessionStore } from "./memory-session-store.ts";
import { testSessionStore } from "./session-store.contract.ts";

testSessionStore("MCP sessions in memory", () => new MemoryMcpSessionStore());
