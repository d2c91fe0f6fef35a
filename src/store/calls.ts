import { randomBytes } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import type { CallRequest } from "../contract/call.ts";

/** How long a key stands for its call, ms. */
export const CALL_LIFETIME_MS = 24 * 3_600_000;
/** Answers beyond this are given up, the oldest first; their keys stay, so that nothing is done twice. */
const MAX_ANSWERS_CHARS = 256 * 1024 * 1024;
const MAX_CALLS = 100_000;

/** `lost`: whoever made the call went away before its end, so that nobody knows what has been done. */
export type CallState = "running" | "done" | "lost";

export interface CallRecord {
  id: string;
  key: string;
  tool: string;
  argumentsDigest: string;
  state: CallState;
  /** Of a call that is done; absent when it was too much to keep. */
  answer?: string;
}

/** Calls with idempotency keys in SQLite. A call is written down before it is made. */
export class CallStore {
  readonly #database: DatabaseSync;
  readonly #nowMs: () => number;

  constructor(database: DatabaseSync, nowMs: () => number = Date.now) {
    this.#database = database;
    this.#nowMs = nowMs;
  }

  /** After a daemon's end: calls that were under way have nobody left who would tell how they ended. */
  loseRunning(): void {
    this.#database.prepare("UPDATE calls SET state = 'lost' WHERE state = 'running'").run();
  }

  find(key: string): CallRecord | undefined {
    this.#database.prepare("DELETE FROM calls WHERE expires_at <= ? AND state <> 'running'").run(this.#nowMs());
    return toRecord(this.#database.prepare("SELECT * FROM calls WHERE key = ?").get(key));
  }

  insert({ key, tool, argumentsDigest }: CallRequest): CallRecord {
    const id = randomBytes(16).toString("hex");
    this.#database
      .prepare("DELETE FROM calls WHERE number <= (SELECT max(number) FROM calls) - ? AND state <> 'running'")
      .run(MAX_CALLS);
    this.#database
      .prepare(
        "INSERT INTO calls (id, key, tool, arguments_digest, state, expires_at) VALUES (?, ?, ?, ?, 'running', ?)",
      )
      .run(id, key, tool, argumentsDigest, this.#nowMs() + CALL_LIFETIME_MS);
    return { id, key, tool, argumentsDigest, state: "running" };
  }

  get(id: string): CallRecord | undefined {
    return toRecord(this.#database.prepare("SELECT * FROM calls WHERE id = ?").get(id));
  }

  finish(id: string, answer: string | undefined): void {
    this.#database
      .prepare("UPDATE calls SET state = 'done', answer = ?, expires_at = ? WHERE id = ?")
      .run(answer ?? null, this.#nowMs() + CALL_LIFETIME_MS, id);
    this.#giveUpOldAnswers();
  }

  lose(id: string): void {
    this.#database.prepare("UPDATE calls SET state = 'lost' WHERE id = ? AND state = 'running'").run(id);
  }

  remove(id: string): void {
    this.#database.prepare("DELETE FROM calls WHERE id = ?").run(id);
  }

  #giveUpOldAnswers(): void {
    this.#database
      .prepare(
        `UPDATE calls SET answer = NULL WHERE answer IS NOT NULL AND number IN (
           SELECT number FROM (SELECT number, sum(length(answer)) OVER (ORDER BY number DESC) AS total FROM calls)
           WHERE total > ?)`,
      )
      .run(MAX_ANSWERS_CHARS);
  }
}

function toRecord(row: Record<string, unknown> | undefined): CallRecord | undefined {
  if (row === undefined) return undefined;
  const { id, key, tool, arguments_digest, state, answer } = row as Record<string, string | null>;
  return {
    id: String(id),
    key: String(key),
    tool: String(tool),
    argumentsDigest: String(arguments_digest),
    state: state as CallState,
    ...(answer === null || answer === undefined ? {} : { answer }),
  };
}
