import assert from "node:assert/strict";
import { test } from "node:test";
import { addInclude, removeInclude, renderConfig } from "./config.ts";
import { sshPaths } from "./keys.ts";

const paths = (home: string) => sshPaths({ home } as Parameters<typeof sshPaths>[0]);

test("a VM's entry runs the program with what it needs, and trusts the guest with nothing", () => {
  const text = renderConfig(["web"], {
    paths: paths("/home/a b/100%"),
    program: "/opt/fire break/bin/firebreak",
    env: { FIREBREAK_HOME: "/home/a b/100%" },
  });
  const [web = "", all = ""] = text.split("\n\n");
  assert.match(web, /^Host firebreak-web\n/);
  assert.match(all, /^Host firebreak-\*\n/);
  assert.match(
    web,
    /^ {2}ProxyCommand env 'FIREBREAK_HOME=\/home\/a b\/100%%' '\/opt\/fire break\/bin\/firebreak' vm ssh-proxy %n$/m,
  );
  assert.match(web, /^ {2}UserKnownHostsFile "\/home\/a b\/100%%\/ssh\/known_hosts\/firebreak-web"$/m);
  assert.match(all, /^ {2}UserKnownHostsFile "\/home\/a b\/100%%\/ssh\/known_hosts\/%n"$/m);
  for (const line of ["StrictHostKeyChecking yes", "ForwardAgent no", "IdentityAgent none", "UpdateHostKeys no"])
    for (const entry of [web, all]) assert.ok(entry.includes(`  ${line}\n`) || entry.endsWith(`  ${line}`), line);
});

test("a path that ssh cannot be told is refused rather than garbled", () => {
  const options = { paths: paths('/home/"x'), program: "p", env: {} };
  assert.throws(() => renderConfig([], options), { code: "INVALID_PATH" });
  assert.throws(() => renderConfig([], { ...options, paths: paths("/a\nProxyCommand evil") }), {
    code: "INVALID_PATH",
  });
});

test("the include comes first, once, and goes without a trace", () => {
  for (const text of ["", "Host *\n  User me\n", "\n\nHost a\n", "# no line end", "Include other\n"]) {
    const added = addInclude(text, "/h/ssh/config");
    assert.match(added, /^# firebreak.*\nInclude "\/h\/ssh\/config"\n/);
    assert.equal(addInclude(added, "/h/ssh/config"), added);
    assert.equal(removeInclude(added, "/h/ssh/config"), text);
    assert.equal(removeInclude(text, "/h/ssh/config"), text);
  }
});

test("an include that the user has moved is found, and what is around it stays", () => {
  const text = 'Host a\n  User b\nInclude "/h/ssh/config"\nHost c\n';
  assert.equal(addInclude(text, "/h/ssh/config"), text);
  assert.equal(removeInclude(text, "/h/ssh/config"), "Host a\n  User b\nHost c\n");
});
