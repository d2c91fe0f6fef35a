import { DatabaseSync, type StatementSync } from "node:sqlite";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** Each entry takes the schema one version further; entries are never changed once released. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE vms (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     state TEXT NOT NULL,
     reason TEXT,
     image TEXT NOT NULL,
     image_digest TEXT NOT NULL,
     kernel_id TEXT NOT NULL,
     memory_mib INTEGER NOT NULL,
     cpus INTEGER NOT NULL,
     disk_mib INTEGER NOT NULL,
     driver TEXT NOT NULL,
     accel_request TEXT NOT NULL,
     accel_reason TEXT,
     uid INTEGER NOT NULL UNIQUE,
     ephemeral INTEGER NOT NULL,
     env TEXT NOT NULL,
     vmm TEXT,
     boot_ms INTEGER,
     created_at TEXT NOT NULL,
     started_at TEXT
   ) STRICT;
   CREATE TABLE events (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     at TEXT NOT NULL,
     vm_id TEXT,
     kind TEXT NOT NULL,
     data TEXT NOT NULL
   ) STRICT;
   CREATE INDEX events_by_vm ON events (vm_id, id);`,
  `ALTER TABLE vms ADD COLUMN start_from TEXT NOT NULL DEFAULT '{"from":"boot"}';
   ALTER TABLE vms ADD COLUMN origin TEXT NOT NULL DEFAULT 'boot';
   ALTER TABLE vms ADD COLUMN snapshot TEXT;
   ALTER TABLE vms ADD COLUMN idle_timeout_ms INTEGER;
   ALTER TABLE vms ADD COLUMN agent TEXT;`,
  `CREATE TABLE api_keys (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     digest BLOB NOT NULL UNIQUE,
     created_at TEXT NOT NULL,
     expires_at TEXT,
     last_used_at TEXT
   ) STRICT;
   CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`,
  `ALTER TABLE vms ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
   ALTER TABLE vms ADD COLUMN restart TEXT NOT NULL DEFAULT '{"policy":"never"}';
   ALTER TABLE vms ADD COLUMN restart_count INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE vms ADD COLUMN is_wanted INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE vms ADD COLUMN expires_at TEXT;
   ALTER TABLE vms ADD COLUMN on_expiry TEXT NOT NULL DEFAULT 'stop';
   ALTER TABLE events ADD COLUMN vm TEXT NOT NULL DEFAULT '';
   UPDATE events SET vm = coalesce((SELECT name FROM vms WHERE vms.id = events.vm_id), '');`,
  `CREATE TABLE mcp_sessions (
     id TEXT PRIMARY KEY,
     principal TEXT NOT NULL,
     query TEXT NOT NULL,
     initialize TEXT NOT NULL,
     subscriptions TEXT NOT NULL,
     created_at TEXT NOT NULL,
     used_at TEXT NOT NULL
   ) STRICT;
   CREATE INDEX mcp_sessions_by_use ON mcp_sessions (used_at);`,
  `CREATE TABLE confirmations (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     token_digest TEXT NOT NULL UNIQUE,
     tool TEXT NOT NULL,
     arguments_digest TEXT NOT NULL,
     state_digest TEXT NOT NULL,
     expires_at INTEGER NOT NULL,
     used_at INTEGER
   ) STRICT;
   CREATE TABLE calls (
     number INTEGER PRIMARY KEY AUTOINCREMENT,
     id TEXT NOT NULL UNIQUE,
     key TEXT NOT NULL UNIQUE,
     tool TEXT NOT NULL,
     arguments_digest TEXT NOT NULL,
     state TEXT NOT NULL,
     answer TEXT,
     expires_at INTEGER NOT NULL
   ) STRICT;`,
  `CREATE TABLE drives (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     state TEXT NOT NULL,
     format TEXT NOT NULL,
     size_mib INTEGER NOT NULL,
     created_at TEXT NOT NULL
   ) STRICT;
   CREATE TABLE attachments (
     drive_id TEXT NOT NULL REFERENCES drives (id),
     vm_id TEXT NOT NULL REFERENCES vms (id) ON DELETE CASCADE,
     slot INTEGER NOT NULL,
     path TEXT,
     read_only INTEGER NOT NULL,
     state TEXT NOT NULL,
     reason TEXT,
     PRIMARY KEY (drive_id, vm_id),
     UNIQUE (vm_id, slot),
     UNIQUE (vm_id, path)
   ) STRICT;`,
  `CREATE TABLE workspaces (
     vm_id TEXT PRIMARY KEY,
     vm_name TEXT NOT NULL,
     directory TEXT NOT NULL,
     guest_path TEXT NOT NULL,
     read_only INTEGER NOT NULL,
     is_automatic INTEGER NOT NULL,
     exclude TEXT NOT NULL,
     state TEXT NOT NULL,
     reason TEXT,
     last_push_at TEXT,
     last_pull_at TEXT,
     report TEXT,
     ended_at TEXT
   ) STRICT;
   CREATE TABLE workspace_backups (
     id TEXT PRIMARY KEY,
     directory TEXT NOT NULL,
     vm_name TEXT,
     created_at TEXT NOT NULL,
     size_bytes INTEGER NOT NULL,
     file TEXT NOT NULL
   ) STRICT;`,
  `CREATE TABLE forwards (
     id TEXT PRIMARY KEY,
     vm_id TEXT NOT NULL REFERENCES vms (id) ON DELETE CASCADE,
     host_address TEXT NOT NULL,
     host_port INTEGER NOT NULL,
     guest_port INTEGER NOT NULL,
     created_at TEXT NOT NULL,
     UNIQUE (host_address, host_port)
   ) STRICT;
   CREATE INDEX forwards_by_vm ON forwards (vm_id);`,
  `CREATE TABLE artifacts (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     kind TEXT NOT NULL,
     media_type TEXT NOT NULL,
     size_bytes INTEGER NOT NULL,
     digest TEXT NOT NULL,
     vm_id TEXT NOT NULL,
     vm_name TEXT NOT NULL,
     path TEXT NOT NULL,
     created_at TEXT NOT NULL
   ) STRICT;`,
  `ALTER TABLE vms ADD COLUMN policy TEXT NOT NULL DEFAULT '{"mode":"none"}';
   CREATE TABLE egress_events (
     id INTEGER PRIMARY KEY,
     vm_id TEXT NOT NULL,
     data TEXT NOT NULL
   ) STRICT;
   CREATE INDEX egress_events_by_vm ON egress_events (vm_id, id);`,
  `ALTER TABLE vms ADD COLUMN secrets TEXT NOT NULL DEFAULT '[]';
   ALTER TABLE vms ADD COLUMN authority TEXT;
   CREATE TABLE secrets (
     name TEXT PRIMARY KEY,
     id TEXT NOT NULL UNIQUE,
     sealed BLOB NOT NULL,
     facts TEXT NOT NULL
   ) STRICT;`,
  `CREATE TABLE servers (
     name TEXT PRIMARY KEY,
     config TEXT NOT NULL,
     source TEXT NOT NULL,
     installed TEXT,
     warm TEXT,
     created_at TEXT NOT NULL
   ) STRICT;`,
  `ALTER TABLE vms ADD COLUMN mounts TEXT NOT NULL DEFAULT '[]';`,
  `CREATE TABLE tasks (
     number INTEGER PRIMARY KEY AUTOINCREMENT,
     id TEXT NOT NULL UNIQUE,
     state TEXT NOT NULL,
     agent TEXT NOT NULL,
     user TEXT,
     created_at TEXT NOT NULL,
     request TEXT NOT NULL,
     files TEXT NOT NULL,
     record TEXT NOT NULL
   ) STRICT;
   CREATE INDEX tasks_by_state ON tasks (state, number);`,
  `CREATE TABLE server_logins (server TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT;`,
  `ALTER TABLE workspaces RENAME COLUMN vm_id TO id;
   ALTER TABLE workspaces ADD COLUMN vm_id TEXT NOT NULL DEFAULT '';
   UPDATE workspaces SET vm_id = id;
   CREATE INDEX workspaces_by_vm ON workspaces (vm_id);
   ALTER TABLE servers ADD COLUMN workspace TEXT;`,
  `CREATE TABLE task_usage (
     task TEXT PRIMARY KEY,
     ended_at TEXT NOT NULL,
     entry TEXT NOT NULL
   ) STRICT;
   CREATE INDEX task_usage_by_end ON task_usage (ended_at);
   INSERT INTO task_usage (task, ended_at, entry)
     SELECT id, coalesce(record ->> 'endedAt', created_at), json_patch('{}', json_object(
       'task', id,
       'endedAt', coalesce(record ->> 'endedAt', created_at),
       'agent', agent,
       'user', user,
       'model', record ->> '$.request.model',
       'labels', json(coalesce(record -> '$.request.labels', '{}')),
       'usage', json(coalesce(record -> 'usage', '{"tokens":[],"vmSeconds":0,"memoryMibSeconds":0}'))
     )) FROM tasks WHERE state IN ('completed', 'failed', 'cancelled');`,
  `CREATE TABLE webhook_deliveries (
     id TEXT PRIMARY KEY,
     task TEXT NOT NULL,
     url TEXT NOT NULL,
     secret TEXT,
     is_confined INTEGER NOT NULL,
     body TEXT NOT NULL,
     state TEXT NOT NULL,
     tries INTEGER NOT NULL,
     due_at TEXT NOT NULL,
     reason TEXT
   ) STRICT;
   CREATE INDEX webhook_deliveries_by_due ON webhook_deliveries (state, due_at);
   CREATE INDEX webhook_deliveries_by_task ON webhook_deliveries (task);`,
];

/** There are some hundred; an update's text has the columns that it changes. */
const MAX_STATEMENTS = 500;

/** Compiles each text once: a command in a VM asks for the VM's record several times, and compiling took longer than looking. */
class StateDatabase extends DatabaseSync {
  readonly #statements = new Map<string, StatementSync>();

  override prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    if (this.#statements.size >= MAX_STATEMENTS) this.#statements.clear();
    const statement = super.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

/** Opens the state database and brings its schema up to date. Throws STATE_TOO_NEW on a newer firebreak's. */
export function openDatabase(path: string): DatabaseSync {
  const database = new StateDatabase(path);
  // WAL with FULL: what was decided is on disk before it is done, and readers do not wait.
  database.exec(
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;",
  );
  const version = (database.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
  if (version > MIGRATIONS.length) {
    database.close();
    throw new FirebreakError(
      "STATE_TOO_NEW",
      `the state has schema ${version}, this firebreak knows up to ${MIGRATIONS.length}`,
      {
        hint: "Use the newer firebreak, or another FIREBREAK_HOME.",
      },
    );
  }
  for (let next = version; next < MIGRATIONS.length; next++) {
    database.exec(`BEGIN IMMEDIATE; ${MIGRATIONS[next]} PRAGMA user_version = ${next + 1}; COMMIT;`);
  }
  return database;
}
