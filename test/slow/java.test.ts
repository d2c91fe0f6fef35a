import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { type DaemonFixture, startDaemonFixture } from "../support/daemon-fixture.ts";
import { hostAuthority, openTlsUpstream } from "../support/opened-pair.ts";

/** Debian's Java in a VM whose TLS is opened. */

const PACKAGE = "openjdk-17-jre-headless";
const JAVA_HOME = "/usr/lib/jvm/java-17-openjdk-amd64";
/** Java begins slowly under emulation. */
const JAVA_MS = 300_000;
const GET = `public class Get {
  public static void main(String[] given) throws Exception {
    System.out.println(new String(new java.net.URL(given[0]).openStream().readAllBytes()));
  }
}
`;
let fixture: DaemonFixture;
let upstream: Awaited<ReturnType<typeof openTlsUpstream>>;

before(async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-java-"));
  const hostCa = path.join(folder, "host-ca.pem");
  writeFileSync(hostCa, await hostAuthority.certificate());
  upstream = await openTlsUpstream("api.test");
  fixture = await startDaemonFixture({ env: { NODE_EXTRA_CA_CERTS: hostCa } });
  rmSync(folder, { recursive: true });
  const file = (name: string, content: string) => {
    writeFileSync(path.join(fixture.folder, name), content);
    return path.join(fixture.folder, name);
  };
  const policy = {
    mode: "allowlist",
    allow: [{ host: "api.test", ports: String(upstream.port), private: true, methods: ["GET"] }],
    hosts: { "api.test": "127.0.0.1" },
  };
  const policyFile = file("policy.json", JSON.stringify(policy));
  await fixture.ok("vm", "create", "java", "--memory", "1G", "--disk", "2G", "--policy", policyFile);
  const packed = path.join(fixture.folder, "java");
  mkdirSync(packed);
  execFileSync("apt-get", ["download", PACKAGE], { cwd: packed, stdio: "ignore" });
  const [deb = ""] = readdirSync(packed);
  execFileSync("dpkg", ["-x", path.join(packed, deb), path.join(packed, "tree")]);
  // Its settings are links to /etc, where the package has them.
  for (const folder of ["usr/lib/jvm", "etc/java-17-openjdk"])
    await fixture.ok("vm", "cp", path.join(packed, "tree", folder), `java:/${folder}`);
  await fixture.ok("vm", "cp", file("Get.java", GET), "java:/root/Get.java");
});
after(async () => {
  upstream.close();
  await fixture?.close();
});

const sh = (script: string) =>
  fixture.cli(["vm", "exec", "java", "--", "bash", "-c", `PATH=${JAVA_HOME}/bin:$PATH; ${script}`], {
    timeoutMs: JAVA_MS,
  });

test("Java's keytool reads the key store, with and without its password, and the VM's certificate is in it", async () => {
  const pem = (await sh("cat /run/firebreak/ca.pem")).stdout;
  const { fingerprint256 } = new X509Certificate(pem);
  const count = Number((await sh("grep -c BEGIN.CERT /run/firebreak/ca-bundle.pem")).stdout);
  for (const options of ["-storepass changeit", "</dev/null"]) {
    const { stdout, stderr } = await sh(`keytool -list -keystore /run/firebreak/ca-bundle.jks ${options}`);
    assert.ok(stdout.includes(`contains ${count} entries`), stdout + stderr);
    assert.ok(stdout.includes(fingerprint256), "the VM's own");
  }
  const wrong = await sh("keytool -list -keystore /run/firebreak/ca-bundle.jks -storepass changeyou");
  assert.match(wrong.stdout, /password was incorrect/);
});

test("Java trusts the VM's certificate by itself, and not without its options", async () => {
  const url = `https://api.test:${upstream.port}/from-java`;
  const got = await sh(`java /root/Get.java ${url}`);
  assert.equal((JSON.parse(got.stdout) as { url: string }).url, "/from-java", got.stderr);
  const without = await sh(`env -u JAVA_TOOL_OPTIONS java /root/Get.java ${url}`);
  assert.match(without.stderr, /SSLHandshakeException|trustAnchors/);
});
