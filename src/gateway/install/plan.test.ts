import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode } from "../../../test/support/has-code.ts";
import { planInstall } from "./plan.ts";

const plan = (line: string) => planInstall(line.split(" "));

test("command lines as people have them come to a package", () => {
  const filesystem = { kind: "npm", spec: "@modelcontextprotocol/server-filesystem", args: ["/data"] };
  for (const program of ["npx -y", "/usr/bin/npx --yes", "bunx", "pnpm dlx", "yarn dlx", "npm exec --", "npm x -y --"])
    assert.deepEqual(plan(`${program} @modelcontextprotocol/server-filesystem /data`), filesystem, program);
  assert.deepEqual(plan("npx -p some-pkg@1.2 tool --flag"), {
    kind: "npm",
    spec: "some-pkg@1.2",
    bin: "tool",
    args: ["--flag"],
  });
  assert.deepEqual(plan("npx --package=some-pkg tool"), { kind: "npm", spec: "some-pkg", bin: "tool", args: [] });
  for (const program of ["uvx", "uv tool run", "pipx run"])
    assert.deepEqual(plan(`${program} mcp-server-git --repository /r`), {
      kind: "pypi",
      spec: "mcp-server-git",
      bin: "mcp-server-git",
      args: ["--repository", "/r"],
    });
  assert.deepEqual(plan("uvx mcp-server-git@2.0"), {
    kind: "pypi",
    spec: "mcp-server-git==2.0",
    bin: "mcp-server-git",
    args: [],
  });
  assert.deepEqual(plan("uvx --python 3.11 --from git+https://example.org/x tool"), {
    kind: "pypi",
    spec: "git+https://example.org/x",
    bin: "tool",
    args: [],
  });
});

test("any other command runs as it is", () => {
  assert.deepEqual(plan("node /srv/server.js"), { kind: "none", argv: ["node", "/srv/server.js"] });
});

test("what has no meaning in a VM, or would be an option of the installer's, is refused", () => {
  for (const line of [
    "npx",
    "npx -y",
    "uvx",
    "npx --call x",
    "npx -y --registry http://x y",
    "npx -- --global",
    "npx -y file:../x",
    "npx -y /etc",
    "uvx --with x y",
    "uvx --index-url http://x y",
    "docker run -i --rm image",
    "npx -p a -p b c",
  ])
    assert.throws(() => plan(line), hasCode("INVALID_ARGUMENT"), line);
});
