import { appendFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { deflateSync } from "node:zlib";
import type { TaskCreate } from "../../src/contract/task.ts";
import type { TaskEvent } from "../../src/contract/task-event.ts";
import type { DaemonFixture } from "./daemon-fixture.ts";

/** An agent that says in Claude Code's words what a file tells it to, a line after the other, and leaves the files of a folder in its output directory. */

/** Copies what it is given, then tells its lines: `{ "wait": FILE }` is no line but a file that has to be there first. */
const PROGRAM = `
import { cpSync, existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
if (existsSync("/root/given")) cpSync("/root/given", "/root/output", { recursive: true });
for (const line of readFileSync("/root/stream.jsonl", "utf8").trim().split("\\n")) {
  const { wait } = JSON.parse(line);
  while (wait !== undefined && !existsSync(wait)) await sleep(50);
  if (wait === undefined) console.log(line);
}
`;

/** Makes the agent known to a daemon, as `coder`. */
export async function addToldAgent(daemon: DaemonFixture): Promise<void> {
  await appendFile(
    path.join(daemon.paths.home, "firebreak.toml"),
    ["[agents.coder]", 'command = ["node", "/root/agent.mjs", "{prompt}"]', 'format = "claude"', ""].join("\n"),
  );
}

/** A task of the agent's. `files`: what it leaves in its output directory. */
export function toldTask(
  prompt: string,
  lines: readonly unknown[],
  { files = {}, ...more }: Omit<Partial<TaskCreate>, "files"> & { files?: Record<string, string | Buffer> } = {},
): TaskCreate {
  const given = Object.entries(files).map(([name, content]) => [
    `/root/given/${name}`,
    typeof content === "string" ? content : { base64: content.toString("base64") },
  ]);
  return {
    agent: "coder",
    prompt,
    ...more,
    files: {
      "/root/agent.mjs": PROGRAM,
      "/root/stream.jsonl": `${lines.map((line) => JSON.stringify(line)).join("\n")}\n`,
      ...Object.fromEntries(given),
    },
  };
}

const MODEL = "claude-sonnet-4-5";
let messages = 0;
const message = (content: object, output = 120) => ({
  type: "assistant",
  message: {
    id: `m${++messages}`,
    model: MODEL,
    content: [content],
    usage: { input_tokens: 1_850, output_tokens: output },
  },
});
export const says = {
  begin: () => ({ type: "system", subtype: "init", session_id: "s1", model: MODEL, tools: [], mcp_servers: [] }),
  thinking: (thinking: string) => message({ type: "thinking", thinking }),
  text: (text: string) => message({ type: "text", text }),
  call: (id: string, name: string, input: object) => message({ type: "tool_use", id, name, input }),
  result: (id: string, content: string, isError = false) => ({
    type: "user",
    message: { content: [{ type: "tool_result", tool_use_id: id, content, is_error: isError }] },
  }),
  end: (result: string) => ({
    type: "result",
    subtype: "success",
    is_error: false,
    result,
    num_turns: 6,
    total_cost_usd: 0.0487,
    usage: {},
    modelUsage: {
      [MODEL]: { inputTokens: 11_240, outputTokens: 1_932, cacheReadInputTokens: 40_960, costUSD: 0.0487 },
    },
  }),
  /** Goes on once there is such a file in the VM. */
  waitFor: (file: string) => ({ wait: file }),
};

/** Some work as coding agents do it. `middle` comes before its last test run. */
export function exampleWork(middle: readonly unknown[] = []): unknown[] {
  const log = Array.from(
    { length: 90 },
    (_, index) => `ok ${index + 1} - parse: case ${index + 1} of the date table`,
  ).join("\n");
  return [
    says.begin(),
    says.thinking(
      "The test that fails is about leap years. I should look at how days of February are counted before I change anything; the parser may be right and its table wrong.",
    ),
    says.text("I’ll run the tests first, to see what fails and how."),
    says.call("t1", "Bash", { command: "npm test -- --reporter=tap | tail -n 100" }),
    says.result("t1", `${log}\nnot ok 91 - parse: 29 February 2100\n  expected: null\n  actual: 2100-03-01`),
    says.call("t2", "Grep", { pattern: "isLeapYear", path: "src", output_mode: "content" }),
    says.result(
      "t2",
      "src/calendar.ts:14:export const isLeapYear = (year: number) => year % 4 === 0;\nsrc/parse.ts:52:  const days = isLeapYear(year) ? 29 : 28;",
    ),
    says.thinking("Years that 100 divides are none, unless 400 divides them. That is the whole fault."),
    says.call("t3", "Edit", {
      file_path: "src/calendar.ts",
      old_string: "year % 4 === 0",
      new_string: "year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)",
    }),
    says.result("t3", "The file src/calendar.ts has been updated."),
    ...middle,
    says.call("t4", "Bash", { command: "npm test" }),
    says.result("t4", "91 passing (212ms)"),
    says.text("All 91 tests pass. The rule for centuries was missing: 2100 is no leap year, and 2000 was one."),
    says.end(
      "Fixed the leap year rule in src/calendar.ts: years that 100 divides are leap years only if 400 divides them. All 91 tests pass.",
    ),
  ];
}

export const EXAMPLE_DIFF = `diff --git a/src/calendar.ts b/src/calendar.ts
index 3f1c2aa..9b0d7e1 100644
--- a/src/calendar.ts
+++ b/src/calendar.ts
@@ -11,7 +11,8 @@ const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
 
 /** Whether a year has a 29 February. */
-export const isLeapYear = (year: number) => year % 4 === 0;
+export const isLeapYear = (year: number) =>
+  year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
 
 export function daysOf(year: number, month: number): number {
   return month === 2 && isLeapYear(year) ? 29 : (DAYS[month - 1] ?? 0);
`;

/** A PNG of some colours. */
export function examplePng(width = 480, height = 300): Buffer {
  const rows = Buffer.alloc(height * (1 + 3 * width));
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const bar = Math.floor(x / 60);
      const isIn = x % 60 > 12 && height - y < 40 + ((bar * 97) % 220);
      rows.set(isIn ? [255, 138, 61] : [28, 30, 34], y * (1 + 3 * width) + 1 + 3 * x);
    }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

function crc32(bytes: Buffer): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** Puts other events in the place of those of a task that has ended: more than it would take patience to make. */
export async function replaceLog(daemon: DaemonFixture, id: string, events: readonly TaskEvent[]): Promise<void> {
  const file = path.join(daemon.paths.home, "tasks", id, "events.jsonl");
  // A log that is open is known by its end.
  await daemon.ok("daemon", "stop");
  // Of what has no position behind it a log thinks that it was cut off.
  const last = { ...events.at(-1), position: { offset: 0, stdout: 0, stderr: 0 } };
  const lines = [...events.slice(0, -1), last].map((event) => JSON.stringify(event));
  await writeFile(file, `${lines.join("\n")}\n`);
  await daemon.ok("daemon", "start");
}

/** So many events of all kinds, the last of which is the end. */
export function manyEvents(count: number): TaskEvent[] {
  const at = "2026-01-31T12:00:00.000Z";
  return Array.from({ length: count }, (_, index): TaskEvent => {
    const seq = index + 1;
    if (seq === count) return { seq, at, type: "finished", reason: "completed", exitCode: 0, tokens: [] };
    const id = `t${Math.floor(index / 4)}`;
    switch (index % 4) {
      case 0:
        return { seq, at, type: "thinking", text: `Thought ${seq}. ${"More of it. ".repeat(index % 13)}` };
      case 1:
        return { seq, at, type: "tool_call", id, name: "Bash", input: { command: `grep -n needle-${seq} src` } };
      case 2:
        return {
          seq,
          at,
          type: "tool_result",
          id: `t${Math.floor(index / 4)}`,
          ok: true,
          output: `line of ${seq}\n`.repeat(1 + (index % 9)),
        };
      default:
        return { seq, at, type: "text", text: `What I found in step ${seq}. ${"And on. ".repeat(index % 17)}` };
    }
  });
}
