import assert from "node:assert/strict";
import { test } from "node:test";
import { readServersFile } from "./read.ts";
import { referTo } from "./references.ts";

const read = (lines: string) =>
  readServersFile(`[servers.a]\nurl = "https://far.example/mcp"\n${lines}\n`, "f.toml", {
    home: "/home/u",
    folder: "/",
  }).servers[0];

test("how a server's calls are authorized is read", () => {
  const secret = referTo("CLIENT");
  const server = read(`oauth = { client_id = "it", client_secret = "${secret}", scopes = ["a", "b"] }`);
  assert.deepEqual(server?.kind === "remote" && server.oauth, {
    ...{ grant: "authorization_code", clientId: "it", clientSecret: secret, scopes: ["a", "b"] },
  });
});

test("what cannot be meant is told where it stands", () => {
  for (const [lines, why] of [
    ['oauth = { client_id = "it", client_secret = "plain" }', /f\.toml:3: .*client_secret.*secret of the vault/],
    ['oauth = { grant = "client_credentials" }', /f\.toml:3: .*client_id.*needs one/],
    [`oauth = { client_secret = "${referTo("CLIENT")}" }`, /f\.toml:3: .*client_id/],
    ['oauth = { scopes = ["a b"] }', /f\.toml:3: .*scopes.*no blanks/],
    ['oauth = { issuer = "file:///x" }', /f\.toml:3: .*issuer/],
    ['oauth = { clientid = "x" }', /f\.toml:3: .*clientid/],
    ['oauth = { scopes = ["a"] }\nheaders = { authorization = "Bearer x" }', /f\.toml:4: .*leave one of them out/],
  ] as const)
    assert.throws(() => read(lines), { code: "CONFIG_INVALID", message: why }, lines);
  assert.throws(
    () =>
      readServersFile('[servers.a]\ncommand = ["x"]\noauth = { scopes = ["a"] }\n', "f.toml", {
        home: "/",
        folder: "/",
      }),
    /f\.toml:3: servers\.a\.oauth: it is of servers that have a url/,
  );
});
