import assert from "node:assert/strict";
import { test } from "node:test";
import { referTo } from "../config/references.ts";
import { mask, resolveTarget } from "./target.ts";

const secretFor = (name: string, url: URL) => `${name}@${url.host}`;

test("secrets stand in headers and URLs as the vault has them, for the host that the URL is of", () => {
  const { url, headers, secrets } = resolveTarget(
    {
      url: `https://far.example/mcp?key=${referTo("KEY")}`,
      headers: { Authorization: `Bearer ${referTo("TOKEN")}`, "X-Plain": "plain" },
    },
    secretFor,
  );
  assert.equal(url.href, "https://far.example/mcp?key=KEY%40far.example");
  assert.deepEqual(headers, { authorization: "Bearer TOKEN@far.example", "x-plain": "plain" });
  assert.deepEqual(secrets.sort(), ["KEY@far.example", "TOKEN@far.example"]);
});

test("no secret has a say in where it goes", () => {
  for (const url of [`https://${referTo("HOST")}/mcp`, `https://far.example.${referTo("HOST")}/mcp`])
    assert.throws(() => resolveTarget({ url, headers: {} }, () => "evil.example"));
  const { url } = resolveTarget(
    { url: `https://far.example/${referTo("PATH")}`, headers: {} },
    () => "@evil.example/../..",
  );
  assert.equal(url.host, "far.example");
});

test("secrets are not told again", () => {
  assert.equal(mask("bad: Bearer abc, abc", ["abc"]), "bad: Bearer ***, ***");
});
