/** What a daemon that comes after this one needs to go on with a client's session. */
export interface McpSessionRecord {
  id: string;
  /** Who opened it; for anybody else it does not exist. */
  principal: string;
  /** The URL's query when it was opened, which chose what the server offers. */
  query: string;
  /** The client's `initialize`: revision, capabilities, name. */
  initialize: Record<string, unknown>;
  /** URIs of resources that the client is told the changes of. */
  subscriptions: string[];
  createdAt: string;
  usedAt: string;
}

/** Sessions of legacy MCP clients, kept for longer than a daemon lives. */
export interface McpSessionStore {
  insert(record: McpSessionRecord): void;
  get(id: string): McpSessionRecord | undefined;
  update(id: string, changes: Partial<Pick<McpSessionRecord, "subscriptions" | "usedAt">>): void;
  remove(id: string): void;
  /** Ids of those that were last used before a time, and of the least recently used beyond a number. */
  listExpired(usedBefore: string, most: number): string[];
}
