import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { GuestClient } from "../../src/guest/client.ts";
import { openDatabase } from "../../src/store/database.ts";
import { SqliteWorkspaceStore } from "../../src/store/workspaces.ts";
import { WorkspaceService } from "../../src/workspaces/service.ts";
import { startHostAgent } from "./host-agent.ts";

export const VM = { id: "0123456789ab", name: "web" };

/** A workspace service on real SQLite in a folder, as a daemon has it. */
export function openWorkspaceService(state: string) {
  mkdirSync(state, { recursive: true });
  const database = openDatabase(path.join(state, "state.db"));
  const store = new SqliteWorkspaceStore(database);
  const open = () =>
    new WorkspaceService({
      folder: path.join(state, "workspaces"),
      backupFolder: path.join(state, "backups"),
      ownFolders: [state],
      store,
      log: () => {},
    });
  return { store, open, close: () => database.close() };
}

/** The same, whose "guest" is the real guest agent as a process of this host. */
export async function openWorkspaces(options: { hostFolder?: string; stateFolder?: string } = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-ws-"));
  const state = options.stateFolder ?? path.join(folder, "state");
  const host = options.hostFolder ?? path.join(folder, "host");
  const guest = path.join(folder, "guest", "workspace");
  mkdirSync(host, { recursive: true });
  mkdirSync(path.dirname(guest));
  const { store, open, close } = openWorkspaceService(state);
  const agent = await startHostAgent();
  let service = open();
  return {
    folder,
    state,
    host,
    guest,
    store,
    client: agent.client as GuestClient,
    get service() {
      return service;
    },
    push: (more: Parameters<WorkspaceService["push"]>[2] = {}) =>
      service.push(VM, agent.client, { directory: host, guestPath: guest, ...more }, {}),
    pull: (more: Parameters<WorkspaceService["pull"]>[2] = {}) => service.pull(VM, agent.client, more, {}),
    /** A daemon's end at this moment, and the next one's beginning. */
    restart: async () => {
      service = open();
      await (await service.recover()).cutOff;
    },
    close: async () => {
      await agent.close();
      close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Writes files by path; `null` removes one. */
export function writeFiles(root: string, files: Record<string, string | null>): void {
  for (const [name, content] of Object.entries(files)) {
    const place = path.join(root, name);
    if (content === null) rmSync(place, { recursive: true });
    else {
      mkdirSync(path.dirname(place), { recursive: true });
      writeFileSync(place, content);
    }
  }
}

/** What is below a directory: content of files, `/` for directories, `-> target` for links. */
export function readFiles(root: string, prefix = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(path.join(root, prefix), { withFileTypes: true })) {
    const name = path.join(prefix, entry.name);
    const place = path.join(root, name);
    if (entry.isDirectory()) Object.assign(found, { [name]: "/" }, readFiles(root, name));
    else if (entry.isSymbolicLink()) found[name] = `-> ${readlinkSync(place)}`;
    else if (entry.isFile()) found[name] = readFileSync(place, "utf8");
  }
  return found;
}
