import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { ForwardRecord, ForwardStore } from "../forwards/forward-store.ts";

/** Port forwards in SQLite. */
export class SqliteForwardStore implements ForwardStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  insert(record: ForwardRecord): void {
    const { id, vmId, hostAddress, hostPort, guestPort, createdAt } = record;
    try {
      this.#database
        .prepare(
          "INSERT INTO forwards (id, vm_id, host_address, host_port, guest_port, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .run(id, vmId, hostAddress, hostPort, guestPort, createdAt);
    } catch (error) {
      const { message } = error as Error;
      if (message.includes("FOREIGN KEY constraint failed"))
        throw new FirebreakError("VM_NOT_FOUND", `the VM ${vmId} is gone`);
      if (!message.includes("UNIQUE constraint failed: forwards.host_address")) throw error;
      const other = this.list().find((each) => each.hostAddress === hostAddress && each.hostPort === hostPort);
      throw new FirebreakError("PORT_IN_USE", `the forward ${other?.id} has ${hostAddress} port ${hostPort}`, {
        hint: `Choose another port, or delete it: firebreak forward delete ${other?.id}`,
      });
    }
  }

  remove(id: string): void {
    this.#database.prepare("DELETE FROM forwards WHERE id = ?").run(id);
  }

  get(id: string): ForwardRecord | undefined {
    return this.#database.prepare("SELECT * FROM forwards WHERE id = ?").all(id).map(decode)[0];
  }

  list(vmId?: string): ForwardRecord[] {
    const where = vmId === undefined ? "" : "WHERE vm_id = ?";
    return this.#database
      .prepare(`SELECT * FROM forwards ${where} ORDER BY created_at, id`)
      .all(...(vmId === undefined ? [] : [vmId]))
      .map(decode);
  }
}

function decode(row: Record<string, SQLOutputValue>): ForwardRecord {
  return {
    id: String(row.id),
    vmId: String(row.vm_id),
    hostAddress: String(row.host_address),
    hostPort: Number(row.host_port),
    guestPort: Number(row.guest_port),
    createdAt: String(row.created_at),
  };
}
