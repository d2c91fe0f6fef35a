import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { type AgentEvent, agentEventSchema } from "../../contract/task-event.ts";
import type { AgentReader, TaskAgent } from "./agent.ts";
import { AGENTS } from "./index.ts";

/** Recorded from the real programs by test/clients/record-streams.ts. */
const FIXTURES = path.join(import.meta.dirname, "../../../test/fixtures/agents");

const agentOf = (name: string) => AGENTS.find((agent) => agent.name === name) as TaskAgent;
const readerOf = (name: string): AgentReader => {
  const create = agentOf(name).createReader;
  assert.ok(create, name);
  return create();
};

function readAll(reader: AgentReader, lines: readonly string[]): AgentEvent[] {
  const events = lines.flatMap((line) => reader.line(line));
  for (const event of events) agentEventSchema.parse(event);
  return events;
}
const linesOf = (agent: string, mode: string) =>
  readFileSync(path.join(FIXTURES, agent, `${mode}.jsonl`), "utf8")
    .trimEnd()
    .split("\n");

/** What matters of an event, in a word or two; ids, which differ with each recording, are left out. */
function brief(event: AgentEvent): string {
  switch (event.type) {
    case "started":
      return `started ${event.agent} ${event.version ?? "-"} ${event.model ?? "-"}`;
    case "text":
    case "thinking":
      return `${event.type} ${event.text}`;
    case "tool_call":
      return `call ${event.name} ${JSON.stringify(event.input)}`;
    case "tool_result":
      return `result ${event.ok} ${event.exitCode ?? "-"} ${JSON.stringify(event.output)}`;
    case "usage": {
      const tokens = event.tokens.map(({ input, cacheRead, output }) => `${input}+${cacheRead}>${output}`);
      return `usage ${tokens.join(" ")} turns ${event.turns ?? "-"} ${event.cost?.usd.toFixed(5) ?? "-"}`;
    }
    case "retry":
      return `retry ${event.attempt ?? "-"} ${event.status ?? "-"}`;
    case "error":
      return `error ${event.fatal} ${event.message.slice(0, 30)}`;
    case "output":
      return `output ${event.text}`;
    case "answer":
      return `answer ${event.text}`;
  }
}

const UNKNOWN_MODEL = "error false Model metadata for `gpt-5.2-co";
const WELL = "One was well, and one was not.";
const codexUsage = "usage 3000+600>90 turns 1 -";

const EXPECTED: Record<string, Record<string, { events: string[]; outcome: string | undefined }>> = {
  claude: {
    tools: {
      events: [
        "started claude 2.1.329 claude-sonnet-4-5",
        'call Bash {"command":"echo vm-ok","description":"As it was asked to."}',
        "usage 1000+200>30 turns 1 -",
        'result true - "vm-ok"',
        'call Bash {"command":"echo no >&2; exit 3","description":"As it was asked to."}',
        "usage 2000+400>60 turns 2 -",
        'result false 3 "Exit code 3\\nno"',
        `text ${WELL}`,
        "usage 3000+600>90 turns 3 -",
        "usage 3000+600>90 turns 3 0.01053",
        `answer ${WELL}`,
      ],
      outcome: "completed",
    },
    unauthorized: {
      events: [
        "started claude 2.1.329 claude-sonnet-4-5",
        "retry 1 401",
        "retry 2 401",
        "retry 3 401",
        "retry 4 401",
        "error true Failed to authenticate. API Er",
        "usage  turns 1 0.00000",
      ],
      outcome: "failed",
    },
    busy: {
      events: [
        "started claude 2.1.329 claude-sonnet-4-5",
        "retry 1 529",
        "retry 2 529",
        "text At last.",
        "usage 1000+200>30 turns 1 -",
        "usage 1000+200>30 turns 1 0.00351",
        "answer At last.",
      ],
      outcome: "completed",
    },
    budget: {
      events: [
        "started claude 2.1.329 claude-sonnet-4-5",
        'call Bash {"command":"echo 0","description":"As it was asked to."}',
        "usage 400000+0>30000 turns 1 -",
        "usage 400000+0>30000 turns 1 1.65000",
        "error true Reached maximum budget ($0.5)",
      ],
      outcome: "budget",
    },
    cut: {
      events: [
        "started claude 2.1.329 claude-sonnet-4-5",
        "retry 1 -",
        "retry 2 -",
        "retry 3 -",
        "retry 4 -",
        "text Never whole.",
        "usage 1000+200>30 turns 1 -",
        "usage 6000+1200>180 turns 1 0.02106",
        "answer Never whole.",
      ],
      outcome: "completed",
    },
  },
  codex: {
    tools: {
      events: [
        "started codex - -",
        UNKNOWN_MODEL,
        `call shell {"command":"/bin/bash -lc 'echo vm-ok'"}`,
        'result true 0 "vm-ok\\n"',
        `call shell {"command":"/bin/bash -lc 'echo no >&2; exit 3'"}`,
        'result false 3 "no\\n"',
        `text ${WELL}`,
        codexUsage,
        `answer ${WELL}`,
      ],
      outcome: "completed",
    },
    unauthorized: {
      events: [
        "started codex - -",
        UNKNOWN_MODEL,
        "retry 1 401",
        "retry 2 401",
        "retry 3 401",
        "retry 4 401",
        "error true unexpected status 401 Unauthor",
      ],
      outcome: "failed",
    },
    cut: {
      events: [
        "started codex - -",
        UNKNOWN_MODEL,
        "retry 1 -",
        "retry 2 -",
        "retry 3 -",
        "retry 4 -",
        "error true stream disconnected before com",
      ],
      outcome: "failed",
    },
  },
  gemini: {
    tools: {
      events: [
        "started gemini - gemini-2.5-flash",
        'call run_shell_command {"command":"echo vm-ok","description":"As it was asked to."}',
        'result true - "vm-ok"',
        'call run_shell_command {"command":"echo no >&2; exit 3","description":"As it was asked to."}',
        // It takes a command that has failed for one that has answered.
        'result true - "no"',
        `text ${WELL}`,
        "usage 3000+600>90 turns - -",
        `answer ${WELL}`,
      ],
      outcome: "completed",
    },
    unauthorized: {
      events: [
        "started gemini - gemini-2.5-flash",
        "usage 0+0>0 turns - -",
        'error true [API Error: {"type":"error","e',
      ],
      outcome: "failed",
    },
  },
  opencode: {
    tools: {
      events: [
        "started opencode - -",
        'call bash {"command":"echo vm-ok"}',
        'result true 0 "vm-ok\\n"',
        "usage 1000+200>30 turns 1 -",
        'call bash {"command":"echo no >&2; exit 3"}',
        'result false 3 "no\\n"',
        "usage 2000+400>60 turns 2 -",
        `text ${WELL}`,
        "usage 3000+600>90 turns 3 -",
        `answer ${WELL}`,
      ],
      outcome: undefined,
    },
    unauthorized: { events: ["started opencode - -", "error true refused with 401"], outcome: "failed" },
    cut: { events: ["started opencode - -", "error true Connection reset by server"], outcome: "failed" },
  },
  copilot: {
    tools: {
      events: [
        "started copilot - gpt-5.2-codex",
        'call bash {"command":"echo vm-ok","description":"As it was asked to."}',
        'result true 0 "vm-ok\\n<shellId: 0 completed with exit code 0>"',
        'call bash {"command":"echo no >&2; exit 3","description":"As it was asked to."}',
        'result false 3 "no\\n<shellId: 1 completed with exit code 3>"',
        `text ${WELL}`,
        `answer ${WELL}`,
      ],
      outcome: "completed",
    },
    unauthorized: {
      events: [
        "started copilot - gpt-5.2-codex",
        "retry 1 401",
        "retry 2 401",
        "error true Authentication failed with pro",
      ],
      outcome: "failed",
    },
    busy: {
      events: ["started copilot - gpt-5.2-codex", "retry 1 529", "retry 2 529", "text At last.", "answer At last."],
      outcome: "completed",
    },
  },
};

describe("recorded streams", () => {
  for (const [agent, modes] of Object.entries(EXPECTED))
    for (const [mode, { events, outcome }] of Object.entries(modes))
      test(`${agent}: ${mode}`, () => {
        const reader = readerOf(agent);
        assert.deepEqual(readAll(reader, linesOf(agent, mode)).map(brief), events);
        assert.equal(reader.outcome?.reason, outcome);
      });

  test("a limit on turns ends Gemini CLI by the task's own limit", () => {
    const reader = readerOf("gemini");
    readAll(reader, linesOf("gemini", "budget"));
    assert.equal(reader.outcome?.reason, "budget");
    assert.deepEqual(reader.tokens, [
      { model: "gemini-2.5-flash", input: 1_200_000, output: 90_000, cacheRead: 0, cacheWrite: 0, reasoning: 0 },
    ]);
  });

  test("of two commands and an answer are three turns, of agents that do not keep to a number themselves", () => {
    for (const { name, createReader, keepsTurns } of AGENTS) {
      if (createReader === undefined || keepsTurns) continue;
      const reader = createReader();
      assert.equal(reader.turnsBegun, 0);
      readAll(reader, linesOf(name, "tools"));
      assert.equal(reader.turnsBegun, 3, name);
    }
  });

  test("all of them hold no place of the machine that they were recorded on", () => {
    for (const file of readdirSync(FIXTURES, { recursive: true, encoding: "utf8" }))
      if (file.endsWith(".jsonl"))
        assert.doesNotMatch(readFileSync(path.join(FIXTURES, file), "utf8"), /firebreak|\/work\/|node_modules/, file);
  });
});

const json = (value: unknown) => JSON.stringify(value);

describe("texts that come in pieces", () => {
  const start = json({ type: "stream_event", event: { type: "message_start", message: { id: "m", model: "x" } } });
  const piece = (text: string, index = 0) =>
    json({
      type: "stream_event",
      event: { type: "content_block_delta", index, delta: { type: "text_delta", text } },
    });
  const whole = (...texts: string[]) =>
    json({
      type: "assistant",
      message: { id: "m", model: "x", content: texts.map((text) => ({ type: "text", text })) },
    });

  test("are not repeated by the whole, which adds what is missing of it", () => {
    const events = readAll(readerOf("claude"), [start, piece("He"), piece("llo"), whole("Hello, world")]);
    assert.deepEqual(
      events.filter(({ type }) => type === "text"),
      [
        { type: "text", text: "He", messageId: "m/0", isDelta: true },
        { type: "text", text: "llo", messageId: "m/0", isDelta: true },
        { type: "text", text: ", world", messageId: "m/0", isDelta: true },
      ],
    );
  });

  test("are told apart by their block, and what had no pieces is told as a whole", () => {
    const events = readAll(readerOf("claude"), [
      start,
      piece("same"),
      piece("same", 1),
      whole("same"),
      whole("same", "more"),
    ]);
    assert.deepEqual(
      events.map((event) =>
        event.type === "text" ? [event.text, event.messageId, event.isDelta ?? false] : event.type,
      ),
      [
        ["same", "m/0", true],
        ["same", "m/1", true],
        ["more", "m", false],
      ],
    );
  });

  test("are used up by the whole that they are of", () => {
    const events = readAll(readerOf("claude"), [start, piece("a"), piece("ab", 1), whole("a"), whole("abc")]);
    assert.deepEqual(events.at(-1), { type: "text", text: "c", messageId: "m/1", isDelta: true });
    assert.equal(events.length, 3);
  });

  test("Copilot's whole message repeats none of its pieces", () => {
    const line = (type: string, data: unknown) => json({ type, data });
    const events = readAll(readerOf("copilot"), [
      line("assistant.message_delta", { messageId: "m", deltaContent: "ab" }),
      line("assistant.message_delta", { messageId: "m", deltaContent: "c" }),
      line("assistant.message", { messageId: "m", content: "abc" }),
      line("assistant.message", { messageId: "n", content: "all at once" }),
    ]);
    assert.deepEqual(events.map(brief), ["text ab", "text c", "text all at once"]);
  });
});

describe("usage", () => {
  test("of a Claude message that tells it twice counts once, at its greatest", () => {
    const reader = readerOf("claude");
    const message = (output_tokens: number, id = "m") =>
      json({ type: "assistant", message: { id, model: "x", content: [], usage: { input_tokens: 10, output_tokens } } });
    const events = readAll(reader, [message(1), message(1), message(7), message(2), message(5, "n")]);
    assert.deepEqual(events.map(brief), [
      "usage 10+0>1 turns 1 -",
      "usage 10+0>7 turns 1 -",
      "usage 20+0>12 turns 2 -",
    ]);
  });

  test("of Claude's end is all of it, by model", () => {
    const reader = readerOf("claude");
    readAll(reader, [
      json({ type: "assistant", message: { id: "m", model: "x", content: [], usage: { input_tokens: 1 } } }),
      json({
        type: "result",
        subtype: "success",
        total_cost_usd: 0.5,
        modelUsage: { x: { inputTokens: 3, outputTokens: 4 }, y: { inputTokens: 5, thinkingTokens: 2 } },
      }),
    ]);
    assert.deepEqual(reader.tokens, [
      { model: "x", input: 3, output: 4, cacheRead: 0, cacheWrite: 0, reasoning: 0 },
      { model: "y", input: 5, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 2 },
    ]);
    assert.equal(reader.costUsd, 0.5);
  });

  test("of opencode's steps is summed, with its cost, and a step that comes twice counts once", () => {
    const reader = readerOf("opencode");
    const step = (id: string) =>
      json({ type: "step_finish", part: { id, reason: "stop", cost: 0.25, tokens: { input: 2, cache: { read: 1 } } } });
    readAll(reader, [step("a"), step("a"), step("b")]);
    assert.deepEqual([reader.tokens[0]?.input, reader.tokens[0]?.cacheRead, reader.costUsd], [4, 2, 0.5]);
  });

  test("of Codex is the thread's so far: a later turn takes the place of an earlier one", () => {
    const reader = readerOf("codex");
    const turn = (input_tokens: number) =>
      json({ type: "turn.completed", usage: { input_tokens, cached_input_tokens: 10, output_tokens: 1 } });
    readAll(reader, [turn(30), turn(50)]);
    assert.deepEqual(reader.tokens, [{ input: 40, output: 1, cacheRead: 10, cacheWrite: 0, reasoning: 0 }]);
  });
});

describe("lines that are none of an agent's", () => {
  for (const { name, createReader } of AGENTS) {
    if (createReader === undefined) continue;
    test(`${name}: are output; those of a type that nobody knows are nothing`, () => {
      const reader = createReader();
      assert.deepEqual(reader.line("Warning: something"), [
        { type: "output", stream: "stdout", text: "Warning: something" },
      ]);
      for (const line of ['{"type":', '{"no":"type"}', '{"type":7}', "[1]", '"text"', "null"])
        assert.deepEqual(reader.line(line), [{ type: "output", stream: "stdout", text: line }], line);
      assert.deepEqual(reader.line(""), []);
      // opencode's first line of any type begins its session.
      const unknown = reader.line('{"type":"of the year 2030","data":{}}');
      assert.deepEqual(
        unknown.filter(({ type }) => type !== "started"),
        [],
      );
    });
  }
});

describe("Codex", () => {
  test("tells of tools of MCP servers, changed files and thoughts", () => {
    const item = (type: string, fields: object) =>
      json({ type: "item.completed", item: { id: type, type, ...fields } });
    const events = readAll(readerOf("codex"), [
      item("mcp_tool_call", {
        server: "s",
        tool: "t",
        arguments: { a: 1 },
        result: { content: [{ type: "text", text: "r" }] },
      }),
      item("mcp_tool_call", { id: "2", server: "s", tool: "t", status: "failed", error: { message: "no" } }),
      item("file_change", { changes: [{ path: "/x", kind: "add" }], status: "completed" }),
      item("reasoning", { text: "hm" }),
      item("todo_list", { items: [] }),
    ]);
    assert.deepEqual(events.map(brief), [
      'call s/t {"a":1}',
      'result true - "r"',
      "call s/t null",
      'result false - "no"',
      'call apply_patch {"changes":[{"path":"/x","kind":"add"}]}',
      'result true - ""',
      "thinking hm",
    ]);
  });
});
