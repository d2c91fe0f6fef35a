import assert from "node:assert/strict";
import { test } from "node:test";
import { egressEvent } from "../../test/support/egress-event.ts";
import type { EgressEvent } from "../contract/egress.ts";
import { explainCloneFailure } from "./clone-failure.ts";

const event = (fields: Partial<EgressEvent>) => egressEvent({ verdict: "allowed", name: "git.example", ...fields });
const RESET = "fatal: unable to access 'https://git.example/x.git/': Send failure: Connection reset by peer\n";

test("why git has no repository is told by where its VM was kept from, or by what it says", () => {
  const hint = (tail: string, ...tries: EgressEvent[]) => explainCloneFailure({ tail, ref: "v9", tries }).hint ?? "";
  assert.equal(
    hint(
      RESET,
      event({ verdict: "failed", rule: "git.example:443", why: "git.example cannot be resolved: ENOTFOUND" }),
    ),
    "This host does not reach git.example: git.example cannot be resolved: ENOTFOUND.",
  );
  assert.match(
    hint(RESET, event({ verdict: "denied", port: 8443, why: "no rule of the policy allows git.example" })),
    /may not reach git\.example: no rule.* Let it there: firebreak task run --allow git\.example:8443$/,
  );
  assert.match(
    hint(RESET, event({ verdict: "denied", rule: "git.example", address: "10.0.0.1", why: "it leads to 10.0.0.1" })),
    /kept from git\.example.*--policy FILE.*"private": true/,
  );
  const refused = event({ verdict: "denied", name: "other.example" });
  assert.match(hint("fatal: Authentication failed", refused, event({})), /readable without a password/);
  assert.match(hint("fatal: could not read Username"), /readable without a password/);
  assert.match(hint("fatal: invalid reference: v9", event({})), /no branch.*'v9'/);
  assert.match(hint("error: pathspec 'v9' did not match any file(s) known to git", event({})), /no branch.*'v9'/);
});
