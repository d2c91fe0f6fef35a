import { createHash, randomBytes } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import type { Confirmation, ConfirmationRequest, RedeemRequest } from "../contract/call.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** How long a person or a model may think about a plan, ms. */
export const CONFIRMATION_LIFETIME_MS = 10 * 60_000;
/** How long a token that is of no use any more is told from one that never was, ms. */
const KEPT_MS = 24 * 3_600_000;
/** Whoever asks for more plans than these loses the oldest tokens. */
const MAX_CONFIRMATIONS = 10_000;

interface Row {
  tool: string;
  arguments_digest: string;
  state_digest: string;
  expires_at: number;
  used_at: number | null;
}

/** Confirm tokens in SQLite, where every process and the next daemon finds them. Of a token only a digest is kept. */
export class ConfirmationStore {
  readonly #database: DatabaseSync;
  readonly #nowMs: () => number;

  constructor(database: DatabaseSync, nowMs: () => number = Date.now) {
    this.#database = database;
    this.#nowMs = nowMs;
  }

  create({ tool, argumentsDigest, stateDigest }: ConfirmationRequest): Confirmation {
    const token = randomBytes(16).toString("base64url");
    const expiresAt = this.#nowMs() + CONFIRMATION_LIFETIME_MS;
    this.#database.prepare("DELETE FROM confirmations WHERE expires_at < ?").run(this.#nowMs() - KEPT_MS);
    this.#database
      .prepare("DELETE FROM confirmations WHERE id <= (SELECT max(id) FROM confirmations) - ?")
      .run(MAX_CONFIRMATIONS);
    this.#database
      .prepare(
        "INSERT INTO confirmations (token_digest, tool, arguments_digest, state_digest, expires_at) VALUES (?, ?, ?, ?, ?)",
      )
      .run(digest(token), tool, argumentsDigest, stateDigest, expiresAt);
    return { token, expiresAt: new Date(expiresAt).toISOString() };
  }

  /** Uses a token up. Throws CONFIRMATION_* when it is not good for this; it can be used for what it is good for then. */
  redeem({ token, tool, argumentsDigest, stateDigest }: RedeemRequest): void {
    const row = this.#database.prepare("SELECT * FROM confirmations WHERE token_digest = ?").get(digest(token)) as
      | Row
      | undefined;
    if (row === undefined)
      throw refusal("CONFIRMATION_UNKNOWN", "no such confirm token has been given out, or it is long past");
    if (row.tool !== tool)
      throw refusal("CONFIRMATION_MISMATCH", `the confirm token is for ${row.tool}, not for ${tool}`);
    if (row.arguments_digest !== argumentsDigest)
      throw refusal("CONFIRMATION_MISMATCH", "the confirm token is for other arguments");
    if (row.used_at !== null) throw used();
    if (row.expires_at <= this.#nowMs())
      throw refusal(
        "CONFIRMATION_EXPIRED",
        `the confirm token has expired at ${new Date(row.expires_at).toISOString()}`,
      );
    if (row.state_digest !== stateDigest)
      throw refusal("CONFIRMATION_STALE", "what the plan was made from has changed since");
    const { changes } = this.#database
      .prepare("UPDATE confirmations SET used_at = ? WHERE token_digest = ? AND used_at IS NULL")
      .run(this.#nowMs(), digest(token));
    if (changes !== 1) throw used();
  }
}

function digest(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

function used(): FirebreakError {
  return refusal("CONFIRMATION_USED", "the confirm token has been used already");
}

type Refusal = "UNKNOWN" | "MISMATCH" | "USED" | "EXPIRED" | "STALE";

function refusal(code: `CONFIRMATION_${Refusal}`, message: string): FirebreakError {
  return new FirebreakError(code, message, { hint: "Ask for the plan again (preview), and confirm that one." });
}
