import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EgressPolicy } from "../contract/policy.ts";
import { findProblems } from "./problems.ts";
import { compilePolicy, decideConnection, decideName, decideRequest } from "./rules.ts";
import { createSets } from "./sets.ts";

const SETS = createSets(["registry.npmjs.org:443", "pypi.org:443"], { tools: ["tool.example", "*.tool.example:8443"] });
const compile = (policy: EgressPolicy) => compilePolicy(policy, SETS);
const reaches = (policy: EgressPolicy, name: string, port: number) =>
  decideConnection(compile(policy), name, port).isAllowed;

describe("which connections a policy allows", () => {
  const policy: EgressPolicy = {
    mode: "allowlist",
    allow: [
      "api.github.com",
      "*.example.com",
      "db.internal:5432",
      "many.example:80,8000-8100",
      "any.example:*",
      "tools",
      "registries:443",
    ],
    deny: ["bad.example.com", "any.example:25"],
  };
  for (const [name, port, isAllowed] of [
    ["api.github.com", 443, true],
    ["api.github.com", 80, true],
    ["api.github.com", 22, false],
    ["github.com", 443, false],
    ["x.api.github.com", 443, false],
    ["a.example.com", 443, true],
    ["a.b.example.com", 443, true],
    ["example.com", 443, false],
    ["notexample.com", 443, false],
    ["bad.example.com", 443, false],
    ["db.internal", 5432, true],
    ["db.internal", 443, false],
    ["many.example", 8050, true],
    ["many.example", 8101, false],
    ["any.example", 6000, true],
    ["any.example", 25, false],
    ["tool.example", 443, true],
    ["a.tool.example", 8443, true],
    ["a.tool.example", 443, false],
    ["registry.npmjs.org", 443, true],
    ["unknown.example", 443, false],
  ] as const)
    test(`${name}:${port}: ${isAllowed ? "yes" : "no"}`, () => assert.equal(reaches(policy, name, port), isAllowed));

  test("a verdict names its rule, and says why not", () => {
    assert.equal(decideConnection(compile(policy), "a.example.com", 443).rule, "*.example.com");
    assert.deepEqual(decideConnection(compile(policy), "bad.example.com", 443), {
      isAllowed: false,
      rule: "bad.example.com",
      why: "bad.example.com:443 is denied by the rule 'bad.example.com'",
      isPrivateAllowed: false,
      needsHttp: false,
    });
    assert.match(decideConnection(compile(policy), "db.internal", 443).why, /allows db.internal at port 5432, not 443/);
    assert.match(decideName(compile({ mode: "none" }), "a.example").why, /firebreak vm policy set VM --allow HOST/);
  });

  test("a name is answered for when some port of it is allowed", () => {
    assert.equal(decideName(compile(policy), "db.internal").isAllowed, true);
    assert.equal(decideName(compile(policy), "any.example").isAllowed, true);
    assert.equal(decideName(compile(policy), "bad.example.com").isAllowed, false);
    assert.equal(decideName(compile(policy), "unknown.example").isAllowed, false);
  });
});

test("mode public allows every name but those that are denied, and none to be private", () => {
  const policy: EgressPolicy = { mode: "public", deny: ["*.evil.example"] };
  assert.equal(reaches(policy, "a.example", 12345), true);
  assert.equal(reaches(policy, "x.evil.example", 443), false);
  assert.equal(decideConnection(compile(policy), "a.example", 443).isPrivateAllowed, false);
});

test("methods and paths are looked at where every rule of the name has some", () => {
  const policy: EgressPolicy = {
    mode: "allowlist",
    allow: [
      { host: "api.example", methods: ["GET", "HEAD"], paths: ["/v1/*", "/repos/**"] },
      { host: "api.example", methods: ["POST"], paths: ["/v1/issues"] },
      "free.example",
      { host: "free.example", methods: ["GET"] },
    ],
  };
  const decide = (method: string, path: string, name = "api.example") =>
    decideRequest(compile(policy), { name, port: 443, method, path }).isAllowed;
  assert.equal(decideConnection(compile(policy), "api.example", 443).needsHttp, true);
  assert.equal(decideConnection(compile(policy), "free.example", 443).needsHttp, false);
  for (const [method, path, isAllowed] of [
    ["GET", "/v1/users", true],
    ["GET", "/v1/users?page=2", true],
    ["GET", "/v1/users/1", false],
    ["GET", "/repos/a/b/c", true],
    ["POST", "/v1/issues", true],
    ["POST", "/v1/users", false],
    ["DELETE", "/v1/users", false],
    ["GET", "/repos/../admin", false],
    ["GET", "/repos/%2e%2e/admin", false],
    ["GET", "/repos/%252e%252e/admin", false],
    ["GET", "/repos//admin", false],
    ["GET", "/repos/a\\..\\b", false],
    ["GET", "/repos/%", false],
  ] as const)
    assert.equal(decide(method, path), isAllowed, `${method} ${path}`);
  assert.equal(decide("DELETE", "/anything", "free.example"), true);
});

test("what cannot be meant is named with its place", () => {
  const problems = (policy: EgressPolicy) =>
    findProblems(policy, SETS).map(({ field, severity, message }) => `${field} ${severity}: ${message}`);
  for (const [policy, expected] of [
    [{ mode: "allowlist", allow: ["127.0.0.1:80"] }, /^allow\[0\] error: "127\.0\.0\.1" is an address/],
    [{ mode: "allowlist", allow: ["ok.example", "0x7f.1"] }, /^allow\[1\] error: "0x7f\.1" is an address/],
    [{ mode: "allowlist", allow: ["registires"] }, /no set 'registires' \(did you mean 'registries'\?\)/],
    [{ mode: "allowlist", allow: ["a.example:0"] }, /ports are from 1 to 65535/],
    [{ mode: "allowlist", allow: ["a.example:90-80"] }, /ends before it begins/],
    [
      { mode: "allowlist", allow: ["a.example"], deny: ["*.example"] },
      /allow\[0\] error: it can never match: '\*\.example' \(deny\[0\]\)/,
    ],
    [
      { mode: "allowlist", allow: ["*.example", "a.example"] },
      /allow\[1\] warning: '\*\.example' \(allow\[0\]\) covers all of it/,
    ],
    [{ mode: "allowlist", allow: ["*.com"] }, /warning: it allows all names that end in \.com/],
    [{ mode: "allowlist" }, /warning: there is no rule/],
    [{ mode: "none", allow: ["a.example"] }, /allow error: mode none allows nothing/],
    [{ mode: "allowlist", allow: ["a.example"], hosts: { "1.2.3.4": "10.0.0.1" } }, /hosts\.1\.2\.3\.4 error/],
    [{ mode: "allowlist", allow: [{ host: "a.example:80", ports: "81" }] }, /has ports twice/],
  ] satisfies [EgressPolicy, RegExp][])
    assert.match(problems(policy).join("\n"), expected);
  assert.deepEqual(
    problems({ mode: "allowlist", allow: ["a.example", "b.example:22", "registries"], deny: ["c.a.example"] }),
    [],
  );
});

test("a thousand rules decide as one does", () => {
  const allow = Array.from({ length: 1_000 }, (_, index) =>
    index % 2 === 0 ? `n${index}.example` : `*.w${index}.example`,
  );
  const compiled = compile({ mode: "allowlist", allow });
  for (let index = 0; index < 100_000; index++) {
    const name = index % 2 === 0 ? `n${index % 1_000}.example` : `a.b.w${index % 1_000}.example`;
    assert.equal(decideConnection(compiled, name, 443).isAllowed, true);
  }
  assert.equal(decideConnection(compiled, "n1.example", 443).isAllowed, false);
});
