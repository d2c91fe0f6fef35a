import assert from "node:assert/strict";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeFrame, encodeJsonFrame, FRAME, FrameDecoder } from "../../src/contract/frames.ts";
import type { GuestClient } from "../../src/guest/client.ts";
import {
  type ExecExit,
  type ExecSpec,
  type ExecStarted,
  execExitSchema,
  execStartedSchema,
} from "../../src/guest/protocol.ts";

/** What the suite needs: a client of a guest agent, and a folder in the guest that it may fill. */
export interface AgentFixture {
  client: GuestClient;
  scratch: string;
}

/** A test of one promise, with a fixture. */
export type Contract = (what: string, work: (fixture: AgentFixture) => Promise<void>) => void;

export interface ExecResult {
  started: ExecStarted;
  exit: ExecExit | undefined;
  stdout: Buffer;
  stderr: Buffer;
  skippedBytes: number;
}

/** Runs a command to its end. */
export async function exec(client: GuestClient, spec: ExecSpec, stdin?: Buffer): Promise<ExecResult> {
  const stream = await client.openExec();
  stream.write(encodeJsonFrame(FRAME.spec, spec));
  if (stdin !== undefined) {
    stream.write(encodeFrame(FRAME.stdin, stdin));
    stream.write(encodeFrame(FRAME.stdinEof));
  }
  await client.awaitHead(stream, "/v1/exec");
  return collect(stream);
}

/** What a stream of frames says, to its end. */
export async function collect(stream: AsyncIterable<Buffer>): Promise<ExecResult> {
  const decoder = new FrameDecoder();
  const parts: Record<number, Buffer[]> = { [FRAME.stdout]: [], [FRAME.stderr]: [] };
  let started: ExecStarted | undefined;
  let exit: ExecExit | undefined;
  let skippedBytes = 0;
  for await (const chunk of stream) {
    for (const { type, payload } of decoder.push(chunk)) {
      if (type === FRAME.started) started = execStartedSchema.parse(JSON.parse(payload.toString()));
      else if (type === FRAME.exit) exit = execExitSchema.parse(JSON.parse(payload.toString()));
      else if (type === FRAME.skipped) skippedBytes += (JSON.parse(payload.toString()) as { bytes: number }).bytes;
      else parts[type]?.push(payload);
    }
  }
  assert.ok(started !== undefined, "an exec begins with STARTED");
  return {
    started,
    exit,
    stdout: Buffer.concat(parts[FRAME.stdout] ?? []),
    stderr: Buffer.concat(parts[FRAME.stderr] ?? []),
    skippedBytes,
  };
}

/** A script for the guest's shell. */
export const sh = (script: string, rest: Partial<ExecSpec> = {}): ExecSpec => ({
  argv: ["/bin/sh", "-c", script],
  ...rest,
});

/** All bytes of a body. */
export async function readAll(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Looks until it has come about, for 30 s at most. */
export async function waitUntil(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await condition()); await sleep(20))
    assert.ok(Date.now() < deadline, "it did not come about");
}
