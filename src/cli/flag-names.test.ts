import assert from "node:assert/strict";
import { test } from "node:test";
import { taskCreateSchema } from "../contract/task.ts";
import { vmCreateSchema } from "../contract/vm.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { FLAGS_OF_FIELDS, withFlag } from "./flag-names.ts";
import { allCommands, createProgram, deepest } from "./program.ts";

const program = await createProgram();
const told = (args: string[], field: string) =>
  withFlag(
    new FirebreakError("INVALID_ARGUMENT", `${field}: no`, { details: { field } }),
    deepest(program, args),
  ).replace(/: no$/, "");

test("a field is told under the flag that fills it", () => {
  for (const [args, field, flag] of [
    ["task run", "maxTurns", "--max-turns"],
    ["task run", "maxRetries", "--retries"],
    ["vm create", "restart.maxRetries", "--restart"],
    ["vm update", "maxRetries", "--restart"],
    ["task run", "webhooks.0.url", "--webhook"],
    ["task run", "workspace.git", "--git"],
    ["task run", "workspace.exclude.3", "--exclude"],
    ["task run", "network.allow.0", "--allow"],
    ["task run", "secrets.0.name", "--secret"],
    ["task run", "env.A-B", "--env A-B"],
    ["task run", "labels.a b", "--label a b"],
    ["task run", "files./root/a.txt", "--file /root/a.txt"],
    ["run", "vm.memoryMib", "--memory"],
    ["run", "exec.timeoutMs", "--timeout"],
    ["vm create", "volumes.0.path", "--volume"],
    ["drive create", "sizeMib", "--size"],
  ] as const)
    assert.equal(told(args.split(" "), field), flag, `${args}: ${field}`);
});

test("of a flag that is given more than once the value's number is told", async () => {
  const own = await createProgram(["task"]);
  const run = deepest(own, ["task", "run"]);
  run.setOptionValue("webhook", ["https://a.example", "ftp://b.example"]);
  const field = "webhooks.1.url";
  const error = new FirebreakError("INVALID_ARGUMENT", `${field}: no`, { details: { field } });
  assert.equal(withFlag(error, run), "--webhook (number 2): no");
});

test("rules of flags are told as these, and those of a file with their place in it", () => {
  const explain = (message: string) =>
    withFlag(new FirebreakError("POLICY_INVALID", message), deepest(program, ["task", "run"]));
  assert.equal(explain("allow[0]: no; deny[1]: no"), "--allow: no; --deny: no");
  assert.equal(explain("p.json:1:3: allow[0]: no"), "p.json:1:3: allow[0]: no");
});

test("a field that only the message names is told so, too", () => {
  const error = new FirebreakError("INVALID_ARGUMENT", "limit: 1 to 1000");
  assert.equal(withFlag(error, deepest(program, ["task", "list"])), "--limit: 1 to 1000");
});

test("what no flag of the command fills keeps its name, as does what is none of a request's fields", () => {
  assert.equal(told(["vm", "create"], "name"), "name");
  assert.equal(told(["task", "list"], "webhooks.0.url"), "webhooks.0.url");
  assert.equal(told(["task", "run"], "prompt"), "prompt");
  const plain = new FirebreakError("INVALID_ARGUMENT", "it is no good", { details: { field: "maxTurns" } });
  assert.equal(withFlag(plain, deepest(program, ["task", "run"])), "it is no good");
});

test("every field that a command can fill has its flag", () => {
  const missing = (args: string[], shape: object, others: string[]) =>
    Object.keys(shape).filter((field) => !others.includes(field) && told(args, field) === field);
  assert.deepEqual(missing(["task", "run"], taskCreateSchema.shape, ["prompt", "argv"]), []);
  assert.deepEqual(missing(["vm", "create"], vmCreateSchema.shape, ["name"]), []);
});

test("every flag of the table is one that a command has", () => {
  const known = new Set([...allCommands(program)].flatMap(({ options }) => options.map(({ long }) => long)));
  for (const flag of Object.values(FLAGS_OF_FIELDS).flat()) assert.ok(known.has(flag), flag);
});
