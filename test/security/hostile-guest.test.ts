import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import http2 from "node:http2";
import { duplexPair, PassThrough } from "node:stream";
import { test } from "node:test";
import { encodeFrame, encodeJsonFrame, FRAME, type Frame } from "../../src/contract/frames.ts";
import { FirebreakError } from "../../src/errors/firebreak-error.ts";
import { relayExec } from "../../src/vms/exec-relay.ts";
import { hasCode } from "../support/has-code.ts";
import { attachInOrder, type HostileGuest, startHttpGuest, startRawGuest } from "../support/hostile-guest.ts";

async function against(guest: HostileGuest, work: (guest: HostileGuest) => Promise<void>): Promise<void> {
  try {
    await work(guest);
  } finally {
    guest.close();
  }
}

test("a guest that says nothing is unreachable, after the deadline", async () => {
  await against(await startRawGuest(() => {}), async ({ client }) => {
    await assert.rejects(client.hello(), hasCode("GUEST_UNREACHABLE"));
  });
});

test("a guest that sends garbage without end is told from a silent one, and costs no memory", async () => {
  const flood = (socket: import("node:net").Socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write(randomBytes(65_536)));
    };
    socket.on("drain", more);
    more();
  };
  const before = process.memoryUsage.rss();
  await against(await startRawGuest(flood), async ({ client }) => {
    await assert.rejects(client.hello(), hasCode("GUEST_PROTOCOL_ERROR"));
  });
  assert.ok(process.memoryUsage.rss() - before < 200 * 1024 * 1024);
});

test("a guest that closes at once is unreachable", async () => {
  await against(await startRawGuest((socket) => socket.destroy()), async ({ client }) => {
    await assert.rejects(client.hello(), hasCode("GUEST_UNREACHABLE"));
  });
});

test("a guest of another generation is refused by name", async () => {
  const guest = await startRawGuest((socket) => {
    socket.write(`\nfirebreak-agent 9 ${"ab".repeat(16)}\n`);
    socket.on("data", (chunk) => {
      const match = /attach [0-9a-f]{32} ([0-9a-f]{32})\n/.exec(String(chunk));
      if (match !== null) socket.write(`\nattached ${match[1]}\n`);
    });
  });
  await against(guest, async ({ client }) => {
    await assert.rejects(
      client.hello(),
      (error: unknown) => hasCode("GUEST_PROTOCOL_ERROR")(error) && /generation 9/.test((error as Error).message),
    );
  });
});

test("a guest that attaches and then sends garbage, half a frame, or hangs up breaks the request, not the daemon", async () => {
  const ends: ((socket: import("node:net").Socket) => void)[] = [
    (socket) => void socket.write(randomBytes(10_000)),
    (socket) => {
      socket.write(Buffer.from([0, 0, 100, 0, 0]));
      setTimeout(() => socket.destroy(), 100);
    },
    (socket) => void socket.destroy(),
    (socket) => void socket.end(),
  ];
  for (const end of ends) {
    await against(await startRawGuest((socket) => attachInOrder(socket, end)), async ({ client }) => {
      await assert.rejects(client.hello({ deadlineMs: 2_000 }), hasCode("CHANNEL_LOST", "GUEST_UNREACHABLE"));
    });
  }
});

test("a guest that attaches and never answers runs into the request's deadline", async () => {
  await against(await startHttpGuest(() => {}), async ({ client }) => {
    await assert.rejects(client.hello({ deadlineMs: 300 }), hasCode("GUEST_UNREACHABLE"));
  });
});

test("answers that are no JSON, of another shape, or too large are refused", async () => {
  const bodies = [
    "",
    "no json",
    "[]",
    '{"generation":"one"}',
    `{"generation":-1,"agentVersion":"x","bootId":"","kernel":"","uptimeMs":0,"features":[]}`,
  ];
  for (const body of bodies) {
    const guest = await startHttpGuest((stream) => {
      stream.respond({ ":status": 200 });
      stream.end(body);
    });
    await against(guest, async ({ client }) => {
      await assert.rejects(client.hello(), hasCode("GUEST_PROTOCOL_ERROR"), body);
    });
  }
  const endless = await startHttpGuest((stream) => {
    stream.respond({ ":status": 200 });
    const more = () => {
      while (!stream.destroyed && stream.write(Buffer.alloc(65_536, 0x20)));
    };
    stream.on("drain", more);
    more();
  });
  await against(endless, async ({ client }) => {
    await assert.rejects(client.hello(), hasCode("GUEST_PROTOCOL_ERROR", "CHANNEL_LOST"));
  });
});

test("an error of the guest cannot choose our code or move a terminal's cursor", async () => {
  const guest = await startHttpGuest((stream) => {
    stream.respond({ ":status": 500 });
    stream.end(JSON.stringify({ error: { code: "DAEMON_ALREADY_RUNNING", message: "\x1b[2Jboo\x07" } }));
  });
  await against(guest, async ({ client }) => {
    await assert.rejects(client.hello(), (error: unknown) => {
      assert.ok(error instanceof FirebreakError);
      assert.equal(error.code, "GUEST_AGENT_FAILED");
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
      assert.doesNotMatch(error.message, /[\x00-\x1f]/);
      return true;
    });
  });
});

async function* noInput(): AsyncGenerator<Frame> {}

/** Runs an exec against a guest that answers with these bytes, then ends the stream. */
async function execAgainst(bytes: Buffer): Promise<unknown> {
  const guest = await startHttpGuest((stream) => {
    stream.respond({ ":status": 200 });
    stream.end(bytes);
  });
  try {
    const output = new PassThrough().resume();
    const options = {
      client: guest.client,
      input: noInput(),
      output,
      signal: new AbortController().signal,
      killGraceMs: 10,
      explainLoss: async () => new FirebreakError("CHANNEL_LOST", "lost"),
    };
    return await relayExec({ argv: ["x"] }, options).catch((error: unknown) => error);
  } finally {
    guest.close();
  }
}

const started = encodeJsonFrame(FRAME.started, { id: "x", pid: 1, offset: 0 });

test("an exec stream that lies about its frames is refused", async () => {
  const cases: [string, Buffer][] = [
    ["output before STARTED", encodeFrame(FRAME.stdout, "x")],
    ["STARTED twice", Buffer.concat([started, started])],
    ["a frame only the daemon sends", Buffer.concat([started, encodeJsonFrame(FRAME.error, { code: "X" })])],
    ["a frame of the host's", Buffer.concat([started, encodeFrame(FRAME.stdin, "x")])],
    ["an unknown type", Buffer.concat([started, encodeFrame(99, "x")])],
    ["an EXIT that is no JSON", Buffer.concat([started, encodeFrame(FRAME.exit, "x")])],
    ["an exit code of 4000", Buffer.concat([started, encodeJsonFrame(FRAME.exit, { exitCode: 4000 })])],
    ["a length of 4 GiB", Buffer.concat([started, Buffer.from([17, 0xff, 0xff, 0xff, 0xff])])],
    ["STARTED that is no JSON", encodeFrame(FRAME.started, "{")],
  ];
  for (const [name, bytes] of cases) {
    const outcome = await execAgainst(bytes);
    assert.ok(outcome instanceof FirebreakError && outcome.code === "GUEST_PROTOCOL_ERROR", `${name}: ${outcome}`);
  }
});

test("an exec stream that ends without EXIT, or within a frame, is a loss, not an exit", async () => {
  for (const bytes of [
    started,
    Buffer.concat([started, encodeFrame(FRAME.stdout, "abc").subarray(0, 6)]),
    Buffer.alloc(0),
  ]) {
    const outcome = await execAgainst(bytes);
    assert.ok(outcome instanceof FirebreakError && outcome.code === "CHANNEL_LOST", String(outcome));
  }
});

test("random bytes in an exec stream never end as a success", async () => {
  for (let index = 0; index < 30; index++) {
    const outcome = await execAgainst(Buffer.concat([started, randomBytes(index * 7)]));
    assert.ok(outcome instanceof FirebreakError);
  }
});

test("a connection may be closed at any moment of its attachment", async () => {
  for (let ticks = 0; ticks < 12; ticks++) {
    await against(await startHttpGuest(() => {}), async ({ client, connection }) => {
      const request = client.hello({ deadlineMs: 2_000 }).catch((error: unknown) => error);
      for (let tick = 0; tick < ticks; tick++)
        await new Promise((resolve) => (tick % 2 ? setImmediate(resolve) : process.nextTick(resolve)));
      connection.close();
      assert.ok((await request) instanceof FirebreakError);
    });
  }
});

test("a guest that freezes while a command runs is noticed, though the command has no deadline", async () => {
  const frozen = await startRawGuest(
    (socket) =>
      attachInOrder(socket, (attached) => {
        // An orderly HTTP/2 server up to STARTED; then no byte goes either way any more.
        const [near, far] = duplexPair();
        let isFrozen = false;
        attached.on("data", (bytes) => isFrozen || near.write(bytes));
        near.on("data", (bytes) => isFrozen || attached.write(bytes));
        const server = http2.createServer();
        server.emit("connection", far);
        server.on("stream", (stream) => {
          stream.on("error", () => {});
          stream.respond({ ":status": 200 });
          stream.write(started);
          setTimeout(() => {
            isFrozen = true;
          }, 100);
        });
      }),
    { ping: { intervalMs: 50, deadlineMs: 300 } },
  );
  await against(frozen, async ({ client }) => {
    const options = {
      client,
      input: noInput(),
      output: new PassThrough().resume(),
      signal: new AbortController().signal,
      killGraceMs: 10,
      explainLoss: async () => new FirebreakError("CHANNEL_LOST", "lost"),
    };
    await assert.rejects(relayExec({ argv: ["x"] }, options), hasCode("CHANNEL_LOST"));
  });
});
