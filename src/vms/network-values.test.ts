import assert from "node:assert/strict";
import { test } from "node:test";
import { networkValues } from "./network-values.ts";
import type { NetworkHooks } from "./ports.ts";
import type { VmRecord } from "./vm-store.ts";

const envOf = async (features: string[], own: Record<string, string> = {}, trust: string | undefined = "PEM") => {
  const network = { trustOf: async () => trust, environmentOf: () => ({}), valuesFor: () => ({ mode: "proxy" }) };
  const values = await networkValues(network as unknown as NetworkHooks, { env: own } as VmRecord, features);
  return values.env ?? {};
};

test("Java is told of a key store by those agents that make one, unless the VM was told something else", async () => {
  const both = ["egress", "java-trust"];
  assert.match((await envOf(both)).JAVA_TOOL_OPTIONS ?? "", /trustStore=\/run\/firebreak\/ca-bundle\.jks /);
  assert.equal((await envOf(["egress"])).JAVA_TOOL_OPTIONS, undefined);
  assert.ok((await envOf(["egress"])).SSL_CERT_FILE !== undefined);
  assert.equal((await envOf(both, { JAVA_TOOL_OPTIONS: "-Xmx1g" })).JAVA_TOOL_OPTIONS, undefined);
  assert.deepEqual(await envOf([]), {});
});
