import type { McpSessionRecord, McpSessionStore } from "./session-store.ts";

/** Sessions for as long as the process lives. */
export class MemoryMcpSessionStore implements McpSessionStore {
  readonly #records = new Map<string, McpSessionRecord>();

  insert(record: McpSessionRecord): void {
    this.#records.set(record.id, record);
  }

  get(id: string): McpSessionRecord | undefined {
    return this.#records.get(id);
  }

  update(id: string, changes: Partial<McpSessionRecord>): void {
    const record = this.#records.get(id);
    if (record !== undefined) this.#records.set(id, { ...record, ...changes });
  }

  remove(id: string): void {
    this.#records.delete(id);
  }

  listExpired(usedBefore: string, most: number): string[] {
    const newestFirst = [...this.#records.values()].sort((a, b) => (a.usedAt < b.usedAt ? 1 : -1));
    return newestFirst.filter(({ usedAt }, index) => usedAt < usedBefore || index >= most).map(({ id }) => id);
  }
}
