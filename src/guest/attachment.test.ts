import assert from "node:assert/strict";
import { Duplex, PassThrough } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { AttachmentScanner, attachToGuest, KNOCK_LINE } from "./attachment.ts";

const HOST = "0123456789abcdef0123456789abcdef";
const GUEST = "fedcba9876543210fedcba9876543210";
const greeting = `\nfirebreak-agent 1 ${GUEST}\n`;
const confirmation = `\nattached ${HOST}\n`;

/** Feeds bytes in pieces of the given sizes. */
function feed(bytes: Buffer, sizes: number[]) {
  const scanner = new AttachmentScanner(HOST);
  let reply = "";
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const size = sizes.length === 0 ? bytes.length : Math.max(1, sizes[index % sizes.length] ?? 1);
    const step = scanner.push(bytes.subarray(at, at + size));
    reply += step.reply;
    at += size;
    if (step.attached !== undefined) {
      return {
        reply,
        generation: step.attached.generation,
        rest: Buffer.concat([step.attached.rest, bytes.subarray(at)]),
      };
    }
  }
  return { reply };
}

test("a greeting is answered with both nonces, and the confirmation ends the attachment", () => {
  const result = feed(Buffer.from(`${greeting}${confirmation}PRI`), []);
  assert.equal(result.reply, `\nattach ${GUEST} ${HOST}\n`);
  assert.equal(result.generation, 1);
  assert.equal(result.rest?.toString(), "PRI");
});

test("stale bytes before and between the lines are dropped, however they are cut", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.integer({ min: 1, max: 40 })),
      (before, between, sizes) => {
        const bytes = Buffer.concat([
          before,
          Buffer.from(greeting),
          between,
          Buffer.from(confirmation),
          Buffer.from("rest"),
        ]);
        const result = feed(bytes, sizes);
        assert.equal(result.generation, 1);
        assert.equal(result.rest?.toString(), "rest");
      },
    ),
  );
});

test("random bytes never attach and never make the scanner throw or hold much", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4096 }), fc.array(fc.integer({ min: 1, max: 500 })), (bytes, sizes) => {
      assert.equal(feed(Buffer.from(bytes), sizes).generation, undefined);
    }),
  );
});

test("a confirmation with another nonce, or before any greeting, does not attach", () => {
  assert.equal(feed(Buffer.from(`${greeting}\nattached ${GUEST}\n`), []).generation, undefined);
  assert.equal(feed(Buffer.from(confirmation), []).generation, undefined);
});

test("a greeting that stale output forged is answered and harmless: the real one still attaches", () => {
  const forged = `\nfirebreak-agent 1 ${"a".repeat(32)}\n`;
  const result = feed(Buffer.from(`${forged}${greeting}${confirmation}`), []);
  assert.equal(result.generation, 1);
  assert.match(result.reply, new RegExp(`attach ${GUEST}`));
});

test("a line longer than a line may be is dropped whole", () => {
  assert.equal(
    feed(Buffer.from(`${"x".repeat(200)}firebreak-agent 1 ${GUEST}\n${confirmation}`), []).generation,
    undefined,
  );
});

/** The stream to a guest that does not see its host come, and what it has been told. */
function silentGuest(onLine: (line: string, say: (text: string) => void) => void) {
  const fromGuest = new PassThrough();
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().split("\n").filter(Boolean)) onLine(line, (text) => fromGuest.write(text));
      done();
    },
  });
  fromGuest.on("data", (chunk) => stream.push(chunk));
  return stream;
}

test("a guest that is silent is knocked at, and attached when it greets then", async () => {
  const told: string[] = [];
  const socket = silentGuest((line, say) => {
    told.push(line);
    if (line === KNOCK_LINE.trim()) say(greeting);
    else say(`\nattached ${line.split(" ")[2]}\n`);
  });
  const { generation } = await attachToGuest({ open: async () => socket, deadlineMs: 1_000 });
  assert.equal(generation, 1);
  assert.equal(told.filter((line) => line === KNOCK_LINE.trim()).length, 1);
  assert.match(told[1] ?? "", new RegExp(`^attach ${GUEST} `));
});
