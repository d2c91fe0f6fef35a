import assert from "node:assert/strict";
import { test } from "node:test";
import { hostEnd, parseForward } from "./forward-spec.ts";

test("a forward is told by one port, two, or an address and two", () => {
  assert.deepEqual(parseForward("80"), { guestPort: 80, hostPort: 0 });
  assert.deepEqual(parseForward("8080:80"), { guestPort: 80, hostPort: 8080 });
  assert.deepEqual(parseForward("0:80"), { guestPort: 80, hostPort: 0 });
  assert.deepEqual(parseForward("0.0.0.0:8080:80"), { guestPort: 80, hostPort: 8080, hostAddress: "0.0.0.0" });
  assert.deepEqual(parseForward("[::1]:8080:80"), { guestPort: 80, hostPort: 8080, hostAddress: "::1" });
  assert.deepEqual(parseForward("localhost:1:2"), { guestPort: 2, hostPort: 1, hostAddress: "127.0.0.1" });
});

test("anything else is refused", () => {
  for (const text of [
    "",
    "x",
    "0",
    "80:0",
    "65536",
    "65536:80",
    "-1",
    "80:",
    ":80",
    "1:2:3:4",
    "::1:8080:80",
    "example.org:8080:80",
    "127.0.0.1:80",
    "80/tcp",
    "８０",
  ])
    assert.throws(() => parseForward(text), { code: "INVALID_ARGUMENT" }, text);
});

test("an address of the sixth version stands in brackets", () => {
  assert.equal(hostEnd({ hostAddress: "::1", hostPort: 80 }), "[::1]:80");
  assert.equal(hostEnd({ hostAddress: "127.0.0.1", hostPort: 80 }), "127.0.0.1:80");
});
