import assert from "node:assert/strict";
import { test } from "node:test";
import { checkImageName } from "../images/names.ts";
import {
  defaultImageName,
  formatImageReference,
  isLoopbackRegistry,
  isRegistryReference,
  parseImageReference,
  parsePushReference,
  placeName,
  requireTls,
} from "./image-reference.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

test("a reference has the registry, repository and tag that every container tool takes it to have", () => {
  for (const [text, full, name] of [
    ["alpine", "docker.io/library/alpine:latest", "alpine"],
    ["python:3.13-slim", "docker.io/library/python:3.13-slim", "python:3.13-slim"],
    ["owner/app", "docker.io/owner/app:latest", "app"],
    ["docker.io/owner/app:1", "docker.io/owner/app:1", "app:1"],
    ["docker://ghcr.io/a/b/c:Main", "ghcr.io/a/b/c:Main", "c:Main"],
    ["localhost:5000/tools", "localhost:5000/tools:latest", "tools"],
    ["localhost/tools", "localhost/tools:latest", "tools"],
    ["[::1]:5000/tools:2", "[::1]:5000/tools:2", "tools:2"],
    [`tools@${DIGEST}`, `docker.io/library/tools@${DIGEST}`, "tools"],
    // The digest says what is meant; the tag is for people.
    [`quay.io/x/tools:2@${DIGEST}`, `quay.io/x/tools@${DIGEST}`, "tools:2"],
  ] as const) {
    const parsed = parseImageReference(text);
    assert.equal(formatImageReference(parsed), full);
    assert.equal(defaultImageName(parsed), name);
  }
});

test("what is no reference, an option or a path is refused", () => {
  for (const text of [
    ...[
      "",
      " ",
      "--authfile=/etc/passwd",
      "-x",
      "UPPER/case",
      "a b",
      "a//b",
      "/a",
      "a/",
      "a:",
      "a:b:c",
      "a:-x",
      "../a",
      "a/../b",
    ],
    ...[
      "oci:/root",
      "dir:/root",
      "docker-archive:/x.tar",
      "user@host/app",
      "a@sha256:12",
      "a@md5:x",
      "host:port/app",
      "a\n",
      "ä",
    ],
    ...["http://registry/app", "registry.test:99999999/app", "-.test/app", "a".repeat(600)],
  ])
    assert.throws(() => parseImageReference(text), { code: "INVALID_ARGUMENT" }, text);
});

test("only this host counts as this host", () => {
  for (const host of ["localhost", "localhost:5000", "127.0.0.1", "127.8.9.1:80", "[::1]:5000"])
    assert.equal(isLoopbackRegistry(host), true, host);
  for (const host of ["localhost.test", "127.0.0.1.test", "10.0.0.1", "[::2]", "127.0.0.1.", "xlocalhost", "docker.io"])
    assert.equal(isLoopbackRegistry(host), false, host);
});

test("a push names its registry and a tag, never one by default", () => {
  for (const text of ["docker.io/owner/app:1", "docker://localhost:5000/app", "[::1]:5000/app:2"])
    assert.deepEqual(parsePushReference(text), parseImageReference(text));
  for (const text of ["app", "owner/app:1", "docker://app", `localhost:5000/app@${DIGEST}`, "localhost:5000"])
    assert.throws(() => parsePushReference(text), { code: "INVALID_ARGUMENT" }, text);
  // What it would have been taken for is said, so that it can be meant.
  assert.throws(() => parsePushReference("owner/app:1"), { hint: /docker\.io\/owner\/app:1/ });
});

test("without TLS only a registry on this host is talked to", () => {
  requireTls(parseImageReference("ghcr.io/a/b"), true);
  requireTls(parseImageReference("localhost:5000/b"), false);
  assert.throws(() => requireTls(parseImageReference("ghcr.io/a/b"), false), { code: "INVALID_ARGUMENT" });
});

test("a place in a registry says whose the image is, and has a name of its own here", () => {
  for (const place of ["ghcr.io/owner/tool", "mcp/time:1", "localhost:5000/x"])
    assert.equal(isRegistryReference(place), true, place);
  for (const name of ["debian", "python:3.13", "Owner/Tool", "a//b", "../etc", `sha256:${"0".repeat(64)}`])
    assert.equal(isRegistryReference(name), false, name);
  const nameOf = (place: string) => placeName(parseImageReference(place));
  assert.equal(nameOf("mcp/time"), "docker.io-mcp-time:latest");
  assert.equal(nameOf("localhost:5000/a/b:1.2"), "localhost-5000-a-b:1.2");
  assert.equal(nameOf(`ghcr.io/a/b@sha256:${"0123456789abcdef".repeat(4)}`), "ghcr.io-a-b:0123456789abcdef");
  for (const place of [`ghcr.io/${"a-".repeat(100)}b`, `[::1]:5000/x:${"T".repeat(128)}`])
    assert.equal(checkImageName(nameOf(place)), nameOf(place));
});
