import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../test/support/has-code.ts";
import type { GrantedSecret } from "../secrets/service.ts";
import { secretsForRemotes } from "./remote-secrets.ts";

function open(hosts: string[], expose: GrantedSecret["expose"] = "proxy") {
  const granted = { hosts, expose, value: () => "value" };
  const secretFor = secretsForRemotes({ get: () => ({}), granted: () => [granted] });
  return (url: string) => secretFor("TOKEN", new URL(url));
}

test("a secret goes to the hosts that it is for, and to their ports", () => {
  const secretFor = open(["far.example", "*.near.example", "localhost:8080"]);
  for (const url of ["https://far.example/mcp", "https://a.near.example/", "http://localhost:8080/mcp"])
    assert.equal(secretFor(url), "value");
  for (const url of [
    "https://other.example/mcp",
    "http://far.example/mcp",
    "https://far.example:8443/",
    "https://near.example/",
  ])
    assert.throws(() => secretFor(url), hasCode("SECRET_INVALID"));
});

test("one that is for localhost goes to this host by its addresses, too, at the same port", () => {
  const secretFor = open(["localhost:8080"]);
  for (const url of ["http://127.0.0.1:8080/x", "http://[::1]:8080/x"]) assert.equal(secretFor(url), "value");
  for (const url of ["http://127.0.0.1:8081/", "http://10.0.0.1:8080/", "http://127.0.0.1.example:8080/"])
    assert.throws(() => secretFor(url), hasCode("SECRET_INVALID"));
  assert.throws(() => secretFor("http://127.0.0.1:9/"), { hint: /--host localhost:8080 --host localhost:9$/ });
});

test("one that is for no host goes nowhere, unless programs may have its value anyway", () => {
  assert.throws(() => open([])("https://far.example/"), hasCode("SECRET_INVALID"));
  assert.equal(open([], "env")("https://far.example/"), "value");
  assert.throws(() => open(["far.example"], "env")("https://other.example/"), hasCode("SECRET_INVALID"));
});
