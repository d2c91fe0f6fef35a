import { testSessionStore } from "../mcp/http/session-store.contract.ts";
import { openDatabase } from "./database.ts";
import { SqliteMcpSessionStore } from "./mcp-sessions.ts";

testSessionStore("MCP sessions in SQLite", () => new SqliteMcpSessionStore(openDatabase(":memory:")));
