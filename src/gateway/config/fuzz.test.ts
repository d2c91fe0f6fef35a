import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "smol-toml";
import { serverConfigSchema } from "../../contract/server.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { importServers } from "./import.ts";
import { readJson } from "./json.ts";
import { readServersFile } from "./read.ts";
import { readToml } from "./toml.ts";
import { writeComment, writeKey, writeValue } from "./toml-writer.ts";

const context = { home: "/home/u", folder: "/proj" };

/** What a reader does with a text: it is read, or refused with a FirebreakError. */
function settle<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    assert.ok(error instanceof FirebreakError && error.code === "CONFIG_INVALID", String((error as Error).stack));
    return undefined;
  }
}

const KEYS =
  "command args env environment cwd url httpUrl type headers image vm_profile extends allowed_paths mount_mode workspace allowed_hosts network secrets memory cpus disk idle_timeout resident isolation session_timeout tools limits enabled disabled labels only firebreak constructor __proto__ toString host ports name expose".split(
    " ",
  );
const WORDS = [
  "x",
  "npx",
  "docker",
  "run",
  "none",
  "allowlist",
  "public",
  "ro",
  "1G",
  "5m",
  "5constructor",
  "/a:/b:rw",
  "~/x",
  "a.example:443",
  "github",
  "https://u:password@x.example/?token=abcdefgh",
  "Bearer abcdefgh",
  "filesystem-readonly",
  "network-only",
  "shared",
  "session",
  "A_TOKEN",
  "$" + "{secret:A}",
  "$" + "{env:B_TOKEN}",
  "$" + "{C:-d}",
  "mcp-remote",
  "@modelcontextprotocol/server-filesystem",
  "-e",
  "-v",
  "",
];
const word = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...WORDS) }, fc.string());
const key = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...KEYS) }, fc.string());
const leaf = fc.oneof(
  word,
  word,
  fc.boolean(),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constant(null),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: false }),
  ),
}));
const server = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record(
      { command: word, args: fc.array(word, { maxLength: 6 }), env: fc.dictionary(word, word, { maxKeys: 3 }) },
      { requiredKeys: [] },
    ),
  },
  fc.dictionary(key, value, { maxKeys: 5 }),
  value,
);
const servers = fc.dictionary(
  fc.oneof(fc.constantFrom("a", "b", "GitHub_MCP", "filesystem", "database"), fc.string()),
  server,
  { maxKeys: 3 },
);

test("any JSON is read or refused, and what is read is a configuration", () => {
  const place = fc.constantFrom("mcpServers", "servers", "mcp", "context_servers");
  fc.assert(
    fc.property(place, servers, (at, found) => {
      const text = JSON.stringify({ [at]: found });
      for (const one of settle(() => readServersFile(text, "f.json", context))?.servers ?? [])
        assert.ok(serverConfigSchema.safeParse(one).success);
    }),
    { numRuns: 400 },
  );
});

test("what is imported is TOML that is read, without a token of the file", () => {
  let count = 0;
  fc.assert(
    fc.property(servers, (found) => {
      const imported = settle(() => importServers(JSON.stringify({ mcpServers: found }), "f.json", context));
      if (imported === undefined) return;
      count += imported.servers.length;
      const names = readServersFile(imported.toml, "firebreak.toml", context).servers.map(({ name }) => name);
      // Objects have names that are numbers first.
      assert.deepEqual(names.sort(), imported.servers.map(({ name }) => name).sort());
      for (const { value: token } of imported.secrets)
        if (token.length > 8) assert.ok(!imported.toml.includes(token), token);
    }),
    { numRuns: 400 },
  );
  assert.ok(count > 0);
});

test("files of ToolHive and of Docker are read or refused, and what is read is a configuration", () => {
  const or = <T>(arbitrary: fc.Arbitrary<T>) =>
    fc.oneof({ weight: 20, arbitrary: arbitrary as fc.Arbitrary<unknown> }, value);
  const template = fc.constantFrom("{{a.b|volume|into}}", "{{a.b|volume-target|into}}", "{{a.b}}/x", "{{a.__proto__}}");
  const words = or(fc.array(fc.oneof(word, template), { maxLength: 3 }));
  const table = or(fc.dictionary(key, word, { maxKeys: 3 }));
  const outbound = fc.record({
    insecure_allow_all: fc.boolean(),
    allow_host: words,
    allow_port: fc.array(fc.integer()),
  });
  const runConfig = fc.record(
    {
      ...{
        schema_version: fc.constant("v0.1.0"),
        name: or(word),
        image: or(word),
        remote_url: fc.constantFrom("", WORDS[15]),
      },
      ...{ transport: word, cmd_args: words, env_vars: table, volumes: words, secrets: words, tools_filter: words },
      permission_profile: or(fc.record({ read: words, write: words, network: fc.record({ outbound }) })),
      header_forward: or(fc.record({ add_plaintext_headers: table, add_headers_from_secret: table })),
      tools_override: or(fc.dictionary(key, fc.record({ name: word, description: word }))),
    },
    { requiredKeys: ["schema_version", "name", "image"] },
  );
  const pairs = or(fc.array(fc.record({ name: word, value: fc.oneof(word, template), env: word }), { maxLength: 3 }));
  const entry = fc.record(
    {
      ...{
        name: fc.constantFrom("a", "B_c"),
        type: fc.constantFrom("server", "remote"),
        image: or(word),
        command: words,
      },
      ...{ volumes: words, env: pairs, secrets: pairs, allowHosts: words, disableNetwork: fc.boolean() },
      remote: or(fc.record({ url: word, transport_type: word, headers: table })),
    },
    { requiredKeys: ["name", "type"] },
  );
  const one = fc.record({ config: or(fc.dictionary(fc.constant("b"), words)), snapshot: fc.record({ server: entry }) });
  const profile = fc.record({ id: fc.constant("x"), servers: fc.array(one, { maxLength: 3 }) });
  let count = 0;
  fc.assert(
    fc.property(fc.oneof(runConfig, profile), (found) => {
      const text = JSON.stringify(found);
      const imported = settle(() => importServers(text, "f.json", context));
      for (const each of settle(() => readServersFile(text, "f.json", context))?.servers ?? []) {
        assert.ok(serverConfigSchema.safeParse(each).success);
        count += 1;
      }
      if (imported !== undefined) readServersFile(imported.toml, "firebreak.toml", context);
    }),
    { numRuns: 400 },
  );
  assert.ok(count > 0);
});

test("any tables of TOML are read or refused, and every refusal of a value has a line", () => {
  const table = fc.dictionary(key, value, { maxKeys: 4 });
  fc.assert(
    fc.property(servers, table, table, (found, profile, defaults) => {
      const text = [
        ...section("defaults", defaults),
        ...section("profiles.p", profile),
        ...Object.entries(found).flatMap(([name, each]) =>
          typeof each === "object" && each !== null ? section(`servers.${writeKey(name)}`, each) : [],
        ),
      ].join("\n");
      try {
        readServersFile(text, "f.toml", context);
      } catch (error) {
        assert.ok(error instanceof FirebreakError, String((error as Error).stack));
        assert.match(error.message, /^f\.toml:\d+: /);
      }
    }),
    { numRuns: 400 },
  );
});

function section(name: string, table: object): string[] {
  const pairs = Object.entries(table).filter(([, each]) => each !== null && !JSON.stringify(each).includes("null"));
  return [`[${name}]`, ...pairs.map(([each, found]) => `${writeKey(each)} = ${writeValue(found)}`)];
}

test("any text at all is read or refused, as TOML and as JSON", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc
      .array(
        fc.constantFrom("[", "]", "{", "}", '"', "'", '"""', "=", ".", ",", "\n", "#", "//", "a", "servers", "1", "\\"),
        { maxLength: 60 },
      )
      .map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (given) => {
      for (const file of ["f.toml", "f.json", "stdin"]) {
        settle(() => readServersFile(given, file, context));
        settle(() => importServers(given, file, context));
      }
    }),
    { numRuns: 600 },
  );
});

test("what is nested without end is refused", () => {
  for (const [open, close] of [
    ["[", "]"],
    ['{"a":', "}"],
  ] as const) {
    const deep = `${open.repeat(100_000)}1${close.repeat(100_000)}`;
    assert.throws(() => readJson(deep, "f.json"), FirebreakError);
    assert.throws(() => readToml(`a = ${deep}`, "f.toml"), FirebreakError);
  }
});

test("every value that is written as TOML is read as the same", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (name, text) => {
      const read = parse(
        `${writeComment(text)}\n${writeKey(name)} = ${writeValue([text, { [name]: text }])}\n`,
      ) as Record<string, [string, Record<string, string>]>;
      const [plain, table] = read[name.toWellFormed()] ?? [];
      assert.equal(plain, text.toWellFormed());
      assert.equal(table?.[name.toWellFormed()], text.toWellFormed());
    }),
  );
});

test("each line of a TOML file is found for the key that stands there", () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(names, fc.array(fc.constantFrom("", "# x", "#[y]"), { maxLength: 3 }), (found, between) => {
      const lines = ["[t]"];
      const at = new Map<string, number>();
      for (const name of found) {
        lines.push(...between);
        at.set(name, lines.push(`"${name}" = """\n[${name}]\n${name} = 1"""`) + 2 * at.size);
      }
      const document = readToml(lines.join("\n"), "f.toml");
      for (const [name, line] of at) assert.equal(document.lineOf(["t", name]), line);
    }),
  );
});
