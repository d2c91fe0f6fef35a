import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { hostAuthority, openTlsUpstream } from "../support/opened-pair.ts";

/** A program of Go's, built on this host without C, in a VM whose TLS is opened: Go has a TLS and a search for certificates of its own. */

const PROGRAM = `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	request, err := http.NewRequest("GET", os.Args[1], nil)
	if err != nil {
		panic(err)
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("TOKEN"))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	body, _ := io.ReadAll(response.Body)
	fmt.Println(response.Proto, response.StatusCode, len(body) > 0)
}
`;
const VALUE = "ghp_real-Value-4711-abcdefghij";
const folder = mkdtempSync(path.join(os.tmpdir(), "fb-go-"));
let fixture: DaemonFixture;
let one: Awaited<ReturnType<typeof openTlsUpstream>>;
let two: Awaited<ReturnType<typeof openTlsUpstream>>;

before(async () => {
  writeFileSync(path.join(folder, "main.go"), PROGRAM);
  writeFileSync(path.join(folder, "go.mod"), "module get\n\ngo 1.20\n");
  const env = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=mod", GOPROXY: "off", GOTOOLCHAIN: "local" };
  execFileSync("go", ["build", "-o", "get", "."], { cwd: folder, env, stdio: "inherit" });
  const caFile = path.join(folder, "host-ca.pem");
  writeFileSync(caFile, await hostAuthority.certificate());
  one = await openTlsUpstream("one.test");
  two = await openTlsUpstream("two.test", "h2");
  fixture = await startDaemonFixture({ env: { NODE_EXTRA_CA_CERTS: caFile } });
  const places = [`one.test:${one.port}`, `two.test:${two.port}`];
  const set = ["secret", "set", "TOKEN", "--from-env", "MY_TOKEN", ...places.flatMap((place) => ["--host", place])];
  const { exitCode, stderr } = await fixture.cli(set, { env: { MY_TOKEN: VALUE } });
  assert.equal(exitCode, 0, stderr);
  const allow = places.map((place) => ({ host: place, private: true }));
  const hosts = { "one.test": "127.0.0.1", "two.test": "127.0.0.1" };
  const policyFile = path.join(folder, "policy.json");
  writeFileSync(policyFile, JSON.stringify({ mode: "allowlist", allow, hosts }));
  await fixture.ok("vm", "create", "go", "--policy", policyFile, "--secret", "TOKEN");
  await fixture.ok("vm", "cp", path.join(folder, "get"), "go:/usr/local/bin/get");
});
after(async () => {
  for (const server of [one, two]) server?.close();
  await fixture?.close();
  rmSync(folder, { recursive: true });
});

const get = (url: string, ...env: string[]) => fixture.cli(["vm", "exec", ...env, "go", "--", "get", url]);

test("Go trusts the VM's certificate in both versions of HTTP, and what it sends arrives with the value", async () => {
  for (const [upstream, name, said] of [
    [one, "one.test", "HTTP/1.1 200 true\n"],
    [two, "two.test", "HTTP/2.0 200 true\n"],
  ] as const) {
    const got = await get(`https://${name}:${upstream.port}/`);
    assert.equal(got.stdout, said, got.stderr);
    assert.equal(upstream.received.at(-1)?.headers.authorization, `Bearer ${VALUE}`);
  }
});

test("with other certificates than those it is told of it does not: the trust is what made it work", async () => {
  const got = await get(
    `https://one.test:${one.port}/`,
    "-e",
    "SSL_CERT_FILE=/dev/null",
    "-e",
    "SSL_CERT_DIR=/nowhere",
  );
  assert.deepEqual([got.exitCode, /certificate signed by unknown authority/.test(got.stdout)], [1, true], got.stdout);
});
