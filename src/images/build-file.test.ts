import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { copyOperands, envPairs, parseBuildFile, singleWord } from "./build-file.ts";

const values: Record<string, string> = { HOME: "/root", A: "a b" };
const lookup = (name: string) => values[name] ?? "";

test("a build file is a Dockerfile of the instructions that there are", () => {
  const { from, steps } = parseBuildFile(`# syntax=docker/dockerfile:1
from debian

RUN echo one && \\
    # a comment between
    echo "two \\\\"
run ["/bin/tool", "a b"]
ENV PATH=/opt/bin:$PATH NAME='$A' BOTH="$A \\"x\\""
ENV OLD style  value
COPY a "b c" $HOME/to/
COPY ["d e", "/to"]
WORKDIR \${HOME}/x
USER app:staff
ENTRYPOINT ["/bin/tool"]
CMD echo hi \\
`);
  assert.equal(from, "debian");
  assert.deepEqual(
    steps.map(({ kind, line }) => [kind, line]),
    [
      ["run", 4],
      ["run", 7],
      ["env", 8],
      ["env", 9],
      ["copy", 10],
      ["copy", 11],
      ["workdir", 12],
      ["user", 13],
      ["entrypoint", 14],
      ["cmd", 15],
    ],
  );
  const [run, exec, env, old, copy, json, workdir, user, , cmd] = steps as Required<(typeof steps)[number]>[];
  const argv = (step: unknown) => (step as { argv: string[] }).argv;
  assert.deepEqual(argv(run), ["/bin/sh", "-c", 'echo one &&     echo "two \\\\"']);
  assert.deepEqual(argv(exec), ["/bin/tool", "a b"]);
  assert.deepEqual(argv(cmd), ["/bin/sh", "-c", "echo hi"]);
  assert.deepEqual(envPairs(env as never, lookup), [
    ["PATH", "/opt/bin:"],
    ["NAME", "$A"],
    ["BOTH", 'a b "x"'],
  ]);
  assert.deepEqual(envPairs(old as never, lookup), [["OLD", "style value"]]);
  assert.deepEqual(copyOperands(copy as never, lookup), { sources: ["a", "b c"], target: "/root/to/" });
  assert.deepEqual(copyOperands(json as never, lookup), { sources: ["d e"], target: "/to" });
  assert.deepEqual([singleWord(workdir as never, lookup), singleWord(user as never, lookup)], ["/root/x", "app:staff"]);
});

test("what is not supported, or malformed, is an error with its line before anything is begun", () => {
  for (const [source, line] of [
    ["", 1],
    ["# nothing", 1],
    ["RUN x", 1],
    ["\n\nFROM a b", 3],
    ["FROM --platform=linux/arm64 a", 1],
    ["FROM a\nFROM b", 2],
    ["FROM a\nFROM b AS c", 2],
    ["FROM a\n\nADD http://x /x", 3],
    ["FROM a\nARG X=1", 2],
    ["FROM a\nVOLUME /x", 2],
    ["FROM a\nHEALTHCHECK NONE", 2],
    ["FROM a\nCOPY --from=b x y", 2],
    ["FROM a\nCOPY --chown=1:1 x y", 2],
    ["FROM a\nCOPY x", 2],
    ["FROM a\nCOPY *.c /x", 2],
    ["FROM a\nRUN <<EOF\necho\nEOF", 2],
    ["FROM a\nRUN --mount=type=secret,id=x cat /x", 2],
    ["FROM a\nRUN [1]", 2],
    ['FROM a\nRUN ["x"', 2],
    ["FROM a\nRUN", 2],
    ["FROM a\nCMD []", 2],
    ["FROM a\nENV A", 2],
    ["FROM a\nENV A=1 B", 2],
    ["FROM a\nENV 1A=x", 2],
    ['FROM a\nENV A="x', 2],
    ["FROM a\nENV A=$" + "{B:-c}", 2],
    ["FROM a\nWORKDIR a b", 2],
    ["# escape=`\nFROM a", 1],
  ] as const) {
    const isExpected = (error: unknown) =>
      error instanceof FirebreakError && error.code === "BUILD_FILE_INVALID" && error.details?.line === line;
    assert.throws(() => parseBuildFile(source), isExpected, source);
  }
});

test("any text is a build file or BUILD_FILE_INVALID", () => {
  const words = fc.constantFrom(
    "FROM ",
    "RUN ",
    "COPY ",
    "ENV ",
    "A=1",
    "\\\n",
    "\n",
    '"',
    "'",
    "$X",
    "${",
    "[",
    "]",
    " ",
    "#",
    "x",
    "<<E",
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 30 }), (parts) => {
      try {
        parseBuildFile(`FROM a\n${parts.join("")}`);
      } catch (error) {
        assert.ok(error instanceof FirebreakError && error.code === "BUILD_FILE_INVALID", String(error));
      }
    }),
    { numRuns: 500 },
  );
});
