import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import {
  findDebianArchive,
  guestArchive,
  parseDeb822Sources,
  parseOneLineSources,
  pickDebianArchive,
  renderSources,
} from "./sources.ts";

const DEB822 = `# comment
Types: deb deb-src
# a comment inside
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`;

test("deb822 sources are read with folded fields, comments and disabled stanzas in mind", () => {
  const sources = parseDeb822Sources(DEB822);
  assert.deepEqual(
    sources.map((source) => source.uris[0]),
    ["http://mirror.example/debian", "http://security.example/debian-security"],
  );
  assert.deepEqual(sources[0]?.components, ["main", "contrib"]);
  assert.deepEqual(sources[0]?.suites, ["bookworm", "bookworm-updates"]);
});

test("one-line sources are read with options, without deb-src and comments", () => {
  const sources = parseOneLineSources(`
# deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb [ arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg ] http://mirror.example/debian bookworm main contrib # why
deb http://security.example/debian-security bookworm-security main
`);
  assert.deepEqual(sources, [
    {
      uris: ["http://mirror.example/debian"],
      suites: ["bookworm"],
      components: ["main", "contrib"],
      signedBy: "/usr/share/keyrings/debian-archive-keyring.gpg",
    },
    {
      uris: ["http://security.example/debian-security"],
      suites: ["bookworm-security"],
      components: ["main"],
      signedBy: undefined,
    },
  ]);
});

test("a third party's 'bookworm main' signed with its own key is not taken for Debian", () => {
  const sources = parseOneLineSources(
    "deb [signed-by=/usr/share/keyrings/vendor.gpg] https://apt.vendor.example bookworm main\n",
  );
  assert.deepEqual(pickDebianArchive(sources), { main: undefined, security: undefined });
});

test("our release's mirror comes before another release's, and another release's is better than none", () => {
  const trixie = "deb http://trixie.example/debian trixie main\n";
  const bookworm = "deb http://bookworm.example/debian bookworm main\n";
  assert.equal(pickDebianArchive(parseOneLineSources(trixie + bookworm)).main, "http://bookworm.example/debian");
  assert.equal(pickDebianArchive(parseOneLineSources(trixie)).main, "http://trixie.example/debian");
});

test("an Ubuntu host's mirror does not count", () => {
  const sources = parseOneLineSources("deb http://archive.example/ubuntu noble main\n");
  assert.equal(pickDebianArchive(sources).main, undefined);
});

test("the environment wins over the host's sources, which win over the default", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "firebreak-test-"));
  try {
    const fallback = await findDebianArchive({}, folder);
    assert.match(fallback.main, /^http:\/\/deb\.debian\.org\/debian$/);
    await mkdir(path.join(folder, "sources.list.d"));
    await writeFile(path.join(folder, "sources.list.d/debian.sources"), DEB822);
    assert.deepEqual(await findDebianArchive({}, folder), {
      main: "http://mirror.example/debian",
      security: "http://security.example/debian-security",
    });
    const env = { FIREBREAK_DEBIAN_MIRROR: "http://own.example/debian", FIREBREAK_DEBIAN_SECURITY_MIRROR: "none" };
    assert.deepEqual(await findDebianArchive(env, folder), { main: "http://own.example/debian", security: undefined });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a mirror that would smuggle options or a line into the source list is refused", async () => {
  for (const uri of [
    "[trusted=yes] http://x.example/debian",
    "http://x.example/debian\ndeb http://y.example",
    "debian",
  ]) {
    await assert.rejects(findDebianArchive({ FIREBREAK_DEBIAN_MIRROR: uri }, "/nonexistent"), {
      code: "INVALID_ARGUMENT",
    });
  }
});

test("the guest gets no URI with a password, of a local file or of the host itself", () => {
  for (const uri of ["http://me:pass@mirror.example/debian", "file:///srv/debian", "http://127.0.0.1:3142/debian"]) {
    assert.equal(guestArchive({ main: uri, security: undefined }).main, "http://deb.debian.org/debian");
  }
  assert.equal(
    guestArchive({ main: "https://m.example/debian", security: undefined }).main,
    "https://m.example/debian",
  );
});

test("every source line names the keyring", () => {
  const text = renderSources({ main: "http://m.example/debian", security: "http://s.example/x" }, "/k.gpg", "amd64");
  assert.equal(
    text,
    "deb [arch=amd64 signed-by=/k.gpg] http://m.example/debian bookworm main\n" +
      "deb [arch=amd64 signed-by=/k.gpg] http://s.example/x bookworm-security main\n",
  );
});
