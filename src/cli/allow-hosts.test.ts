import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressRule } from "../contract/policy.ts";
import { allowHosts } from "./allow-hosts.ts";

const known = [{ name: "TOKEN", hosts: ["api.test", "*.other.test:8443"] }];
const allowOf = (allow: EgressRule[], hosts?: string[]) =>
  allowHosts({ mode: "allowlist", allow }, [{ name: "TOKEN", ...(hosts === undefined ? {} : { hosts }) }], known).allow;

test("hosts of a secret are allowed along, at their ports, once", () => {
  assert.deepEqual(allowOf(["one.test"]), ["one.test", "api.test:443", "*.other.test:8443"]);
  assert.deepEqual(allowOf(["api.test:443"], ["api.test"]), ["api.test:443"]);
  assert.deepEqual(allowOf([], ["two.test:80"]), ["two.test:80"]);
  assert.deepEqual(allowHosts({ mode: "public" }, [{ name: "TOKEN" }], known), { mode: "public" });
  assert.equal(allowHosts({ mode: "none" }, [{ name: "TOKEN" }], known).mode, "allowlist");
});

test("a rule with limits keeps them", () => {
  for (const host of ["api.test", "API.test:443", "*.test"]) {
    const rule = { host, methods: ["GET"] };
    assert.deepEqual(allowOf([rule], ["api.test"]), [rule], host);
  }
  const other = { host: "*.example", methods: ["GET"] };
  assert.deepEqual(allowOf([other], ["api.test"]), [other, "api.test:443"]);
});
