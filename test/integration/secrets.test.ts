import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { checkSecretHosts } from "../../src/network/service.ts";
import { SecretService } from "../../src/secrets/service.ts";
import { Vault } from "../../src/secrets/vault.ts";
import { openDatabase } from "../../src/store/database.ts";
import { SqliteLoginStore } from "../../src/store/logins.ts";
import { SqliteSecretStore } from "../../src/store/secrets.ts";
import { SqliteSettings } from "../../src/store/settings.ts";
import { vaultStateOf } from "../../src/store/vault-state.ts";
import { hasCode } from "../support/has-code.ts";

const VALUE = "ghp_very-secret-0123456789";
let home: string;
let users: { id: string; name: string }[];
let database: ReturnType<typeof openDatabase>;
let secrets: SecretService;
const open = () => {
  database = openDatabase(path.join(home, "state.db"));
  const store = new SqliteSecretStore(database);
  const settings = new SqliteSettings(database);
  secrets = new SecretService({
    store,
    vault: new Vault(path.join(home, "vault.key"), vaultStateOf(settings, store, new SqliteLoginStore(database))),
    usersOf: () => users,
    checkHosts: checkSecretHosts,
  });
};
beforeEach(() => {
  home = mkdtempSync(path.join(os.tmpdir(), "fb-secrets-"));
  users = [];
  open();
});
afterEach(() => {
  database.close();
  rmSync(home, { recursive: true, force: true });
});

const files = () => Buffer.concat(readdirSync(home).map((name) => readFileSync(path.join(home, name))));
const valueFor = (name: string) => secrets.granted([{ name }])[0]?.value();

test("a value is had again by whom it is granted to, after a restart too, and is in no file in the clear", () => {
  const secret = secrets.set("TOKEN", { value: VALUE, hosts: ["api.test"] });
  assert.ok(!JSON.stringify([secret, secrets.list(), secrets.get("TOKEN")]).includes(VALUE));
  database.close();
  open();
  assert.equal(valueFor("TOKEN"), VALUE);
  assert.ok(!files().includes(VALUE));
  const rotated = secrets.rotate("TOKEN", "another-value-9876543210");
  assert.deepEqual([rotated.placeholder, rotated.hosts], [secret.placeholder, secret.hosts]);
  assert.equal(valueFor("TOKEN"), "another-value-9876543210");
  secrets.delete("TOKEN", false);
  assert.throws(() => secrets.get("TOKEN"), hasCode("SECRET_NOT_FOUND"));
  assert.deepEqual(secrets.granted([{ name: "TOKEN" }]), []);
});

test("values and hosts that cannot be used are refused, by what is wrong and never by the value", () => {
  for (const [request, message] of [
    [{ value: "line\nbreak-12345678" }, /line breaks/],
    [{ value: "short" }, /less than 8/],
    [{ value: VALUE, hosts: ["127.0.0.1"] }, /is an address/],
    [{ value: VALUE, hosts: ["registries"] }, /'registries' is no host: sets are not taken here.*registries:443/],
  ] as const)
    assert.throws(
      () => secrets.set("TOKEN", { ...request, hosts: "hosts" in request ? [...request.hosts] : [] }),
      (error: Error) =>
        hasCode("SECRET_INVALID")(error) && message.test(error.message) && !error.message.includes(request.value),
    );
  secrets.set("PEM", { value: "line\nbreak", expose: "env" });
  assert.equal(valueFor("PEM"), "line\nbreak");
});

test("what a VM may use is neither deleted nor called back from its memory by another setting", () => {
  secrets.set("TOKEN", { value: VALUE, hosts: ["api.test"], expose: "env" });
  users = [{ id: "a", name: "web" }];
  assert.throws(() => secrets.delete("TOKEN", false), hasCode("SECRET_IN_USE"));
  assert.throws(() => secrets.set("TOKEN", { value: VALUE, expose: "proxy" }), hasCode("SECRET_IN_USE"));
  secrets.delete("TOKEN", true);
});

test("a grant of what is not there, or is for no host, is refused with the nearest name", () => {
  secrets.set("TOKEN", { value: VALUE });
  assert.throws(() => secrets.check([{ name: "TOKEN" }]), hasCode("SECRET_INVALID"));
  secrets.check([{ name: "TOKEN", hosts: ["api.test"] }]);
  assert.throws(() => secrets.check([{ name: "TOKNE" }]), { code: "SECRET_NOT_FOUND", hint: "Did you mean TOKEN?" });
});

test("a vault whose key is another or gone takes nothing new, so that it never has two keys", () => {
  secrets.set("TOKEN", { value: VALUE });
  rmSync(path.join(home, "vault.key"));
  database.close();
  open();
  assert.throws(() => secrets.set("OTHER", { value: VALUE }), hasCode("VAULT_KEY_MISSING"));
  assert.throws(() => valueFor("TOKEN"), hasCode("VAULT_KEY_MISSING"));
  assert.equal(secrets.list().length, 1, "what is known of it is listed all the same");
  secrets.delete("TOKEN", false);
  secrets.set("OTHER", { value: VALUE });
  assert.equal(valueFor("OTHER"), VALUE);
});

test("a value that has been altered is told as such, and others and its rotation go on", () => {
  secrets.set("DAMAGED", { value: VALUE });
  secrets.set("TOKEN", { value: VALUE });
  database.prepare("UPDATE secrets SET sealed = zeroblob(40) WHERE name = 'DAMAGED'").run();
  assert.throws(() => valueFor("DAMAGED"), hasCode("SECRET_DAMAGED"));
  assert.equal(valueFor("TOKEN"), VALUE);
  secrets.set("ANOTHER", { value: VALUE });
  secrets.rotate("DAMAGED", VALUE);
  assert.equal(valueFor("DAMAGED"), VALUE);
});

test("an AWS key brings its id and token along, to its hosts, and is itself in no place of a request", () => {
  for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"]) secrets.set(name, { value: `${VALUE}-${name}` });
  const aws = { accessKeyId: "AWS_ACCESS_KEY_ID", sessionToken: "AWS_SESSION_TOKEN" };
  const request = { value: VALUE, hosts: ["*.amazonaws.com"], aws };
  const key = secrets.set("AWS_SECRET_ACCESS_KEY", request);
  assert.deepEqual(key.aws, aws);
  assert.ok(!JSON.stringify([key, secrets.list()]).includes(VALUE));
  const grant = { name: "AWS_SECRET_ACCESS_KEY", hosts: ["s3.eu-central-1.amazonaws.com"] };
  const id = { name: "AWS_ACCESS_KEY_ID" };
  secrets.check([id, grant]);
  const granted = secrets.granted([id, grant]);
  assert.deepEqual(
    granted.map(({ name, hosts, places }) => [name, hosts, places]),
    [
      ["AWS_ACCESS_KEY_ID", grant.hosts, ["header", "query"]],
      ["AWS_SECRET_ACCESS_KEY", grant.hosts, []],
      ["AWS_SESSION_TOKEN", grant.hosts, ["header", "query"]],
    ],
  );
  assert.equal(granted[1]?.aws?.accessKeyId?.value(), `${VALUE}-AWS_ACCESS_KEY_ID`);
  secrets.rotate("AWS_SECRET_ACCESS_KEY", `${VALUE}-next`);
  assert.deepEqual(secrets.get("AWS_SECRET_ACCESS_KEY").aws, aws, "another value stays an AWS key");
  const told: string[] = [];
  secrets.onChange((name) => told.push(name));
  secrets.rotate("AWS_SESSION_TOKEN", VALUE);
  assert.deepEqual(told, ["AWS_SESSION_TOKEN", "AWS_SECRET_ACCESS_KEY"]);
  users = [{ id: "a", name: "web" }];
  assert.deepEqual(secrets.get("AWS_SESSION_TOKEN").vms, ["web"]);
  assert.equal(secrets.set("AWS_SECRET_ACCESS_KEY", { value: VALUE, aws: null }).aws, undefined);
});

test("what cannot be an AWS key is refused, and so is the use of one without its id", () => {
  const set = (name: string, more: object) => secrets.set(name, { value: VALUE, hosts: ["api.test"], ...more });
  for (const more of [
    { aws: { accessKeyId: "KEY" } },
    { aws: { accessKeyId: "ID", sessionToken: "ID" } },
    { aws: { accessKeyId: "ID" }, expose: "env" },
  ])
    assert.throws(() => set("KEY", more), hasCode("SECRET_INVALID"));
  set("KEY", { aws: { accessKeyId: "ID" } });
  assert.throws(() => secrets.check([{ name: "KEY" }]), hasCode("SECRET_INVALID"));
  assert.throws(() => set("OTHER", { aws: { accessKeyId: "KEY" } }), hasCode("SECRET_INVALID"));
  assert.throws(() => set("ID", { aws: { accessKeyId: "ANOTHER" } }), hasCode("SECRET_INVALID"));
  assert.deepEqual(secrets.granted([{ name: "KEY" }])[0]?.aws, { accessKeyId: undefined });
});
