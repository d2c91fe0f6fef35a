import assert from "node:assert/strict";
import { test } from "node:test";
import { installHint } from "./install-hint.ts";

test("a network that opens TLS is told of as that, in the words of each installer", () => {
  for (const output of [
    "npm error code SELF_SIGNED_CERT_IN_CHAIN\nnpm error request to https://registry.test/a failed",
    "npm error code UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain",
    "error sending request: invalid peer certificate: UnknownIssuer",
  ])
    assert.match(installHint(output), /\[network\] trust/, output);
  assert.match(installHint("npm error code E404"), /reaches the registries/);
});
