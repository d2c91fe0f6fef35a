import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import type { EgressEvent } from "../../src/contract/egress.ts";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { freePort } from "../support/free-port.ts";
import { copyPsql, type Postgres, startPostgres } from "../support/postgres.ts";
import { waitFor } from "../support/wait-for.ts";

/** A protocol that is not HTTP, in which the server may speak first and TLS begins within: PostgreSQL's own client and server. */

const NAME = "db.internal";
let fixture: DaemonFixture;
let database: Postgres;

before(async () => {
  database = await startPostgres(NAME);
  fixture = await startDaemonFixture();
  const policyFile = path.join(fixture.folder, "policy.json");
  const policy = {
    mode: "allowlist",
    allow: [{ host: NAME, ports: String(database.port), private: true }],
    hosts: { [NAME]: "127.0.0.1" },
  };
  writeFileSync(policyFile, JSON.stringify(policy));
  await fixture.ok("vm", "create", "app", "--policy", policyFile);
  const client = path.join(fixture.folder, "psql");
  copyPsql(client);
  copyFileSync(database.certificateFile, path.join(client, "server.crt"));
  await fixture.ok("vm", "cp", client, "app:/opt/psql");
});
after(async () => {
  await fixture?.close();
  await database?.close();
});

/** psql's unaligned answer to a query, or to what it is given on stdin. */
function psql(words: string, input: string, port = database.port) {
  const connection = `host=${NAME} port=${port} user=${database.user} dbname=postgres connect_timeout=60 ${words}`;
  const env = ["-e", `PGPASSWORD=${database.password}`, "-e", "LD_LIBRARY_PATH=/opt/psql"];
  const argv = ["/opt/psql/psql", "-XAt", "-v", "ON_ERROR_STOP=1", connection];
  return fixture.cli(["vm", "exec", ...env, "app", "--", ...argv], { input });
}

const log = async (): Promise<EgressEvent[]> =>
  (await fixture.json<{ events: EgressEvent[] }>("egress", "log", "app")).events;

/** Whether this very connection's TLS is the server's own. */
const HOW = "select version() like 'PostgreSQL %', ssl from pg_stat_ssl where pid = pg_backend_pid();";

test("a query is answered without TLS, and with TLS that only the server opens", async () => {
  const plain = await psql("sslmode=disable", HOW);
  assert.deepEqual([plain.exitCode, plain.stdout], [0, "t|f\n"], plain.stderr);
  // verify-full: the certificate is the server's, and of the name that was asked for.
  const secure = await psql("sslmode=verify-full sslrootcert=/opt/psql/server.crt", HOW);
  assert.deepEqual([secure.exitCode, secure.stdout], [0, "t|t\n"], secure.stderr);
});

test("what goes in comes back the same, many rows at a time", async () => {
  const rows = Array.from({ length: 20_000 }, (_, index) => `${index}\t${"x".repeat(index % 50)}`).join("\n");
  const created = await psql(
    "sslmode=require",
    `create table things (id int, body text);\ncopy things from stdin;\n${rows}\n\\.\n`,
  );
  assert.equal(created.exitCode, 0, created.stderr);
  const read = await psql("sslmode=require", "copy (select id, body from things order by id) to stdout;");
  assert.equal(read.exitCode, 0, read.stderr);
  assert.equal(read.stdout, `${rows}\n`);
});

test("the log names the connection, its port and its rule", async () => {
  const isOurs = ({ name, state, verdict }: EgressEvent) =>
    name === NAME && state === "closed" && verdict === "allowed";
  await waitFor(async () => (await log()).filter(isOurs).length >= 4);
  for (const event of (await log()).filter(isOurs)) {
    assert.deepEqual([event.port, event.address, event.protocol], [database.port, "127.0.0.1", "tcp"]);
    assert.match(event.rule ?? "", new RegExp(`^db\\.internal:${database.port}`));
  }
});

test("another port of the name is refused, though something listens there", async () => {
  const other = await startPostgres(NAME);
  try {
    const refused = await psql("sslmode=disable", HOW, other.port);
    assert.notEqual(refused.exitCode, 0);
    assert.equal(refused.stdout, "");
  } finally {
    await other.close();
  }
  const closed = await freePort();
  assert.notEqual((await psql("sslmode=disable", HOW, closed)).exitCode, 0);
  const denied = (await log()).filter(({ verdict }) => verdict === "denied").map(({ name, port }) => [name, port]);
  for (const port of [other.port, closed])
    assert.ok(
      denied.some(([name, at]) => name === NAME && at === port),
      JSON.stringify(denied),
    );
});
