import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { SqliteSettings } from "../../store/settings.ts";
import type { KeyRing } from "../keys.ts";

const SETTING = "dashboard_sessions";
/** A code is typed or clicked right after it has been printed, ms. */
const CODE_LIFE_MS = 5 * 60_000;
/** A session ends when it has not been used for this long, and some time after it began whatever comes, ms. */
const IDLE_MS = 12 * 3600_000;
const LIFE_MS = 30 * 24 * 3600_000;
/** How coarsely the last use is kept, ms: a write a request would cost more than the request. */
const LAST_USE_STEP_MS = 60_000;
/** The oldest go when there are more. */
const MAX_SESSIONS = 100;
const MAX_CODES = 100;
/** What the session of this host's owner is called where callers are named. */
const OWNER_NAME = "dashboard";

const recordsSchema = z.array(
  z.object({
    id: z.string(),
    name: z.string(),
    /** The API key that it was opened with; absent: a code. */
    keyId: z.string().optional(),
    /** SHA-256 of its token, base64. */
    digest: z.string(),
    createdAtMs: z.number(),
    usedAtMs: z.number(),
  }),
);
type SessionRecord = z.infer<typeof recordsSchema>[number];

/** A browser's session, as a caller. */
export interface Session {
  id: string;
  name: string;
  keyId?: string | undefined;
  /** Opened with a code, which only this host's owner gets. */
  isOwner: boolean;
}

export interface SessionsOptions {
  keys: Pick<KeyRing, "authenticate" | "isUsable">;
  /** Where one daemon leaves them to the next. */
  settings: Pick<SqliteSettings, "get" | "set">;
  nowMs?: () => number;
}

/**
 * Sessions of browsers. Tokens are 256 random bits, of which digests are kept: whoever reads the database cannot use one. Codes are kept in memory alone, and
 * are forgotten with their first use.
 */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #nowMs: () => number;
  readonly #codes = new Map<string, number>();
  #records: SessionRecord[];

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
    const kept = recordsSchema.safeParse(options.settings.get(SETTING));
    this.#records = kept.success ? kept.data : [];
  }

  /** A code that opens one session, soon. */
  createCode(): { code: string; expiresAt: string } {
    const now = this.#nowMs();
    for (const [digest, untilMs] of this.#codes) if (untilMs <= now) this.#codes.delete(digest);
    const oldest = this.#codes.keys().next().value;
    if (this.#codes.size >= MAX_CODES && oldest !== undefined) this.#codes.delete(oldest);
    const code = randomBytes(32).toString("base64url");
    this.#codes.set(digestOf(code), now + CODE_LIFE_MS);
    return { code, expiresAt: new Date(now + CODE_LIFE_MS).toISOString() };
  }

  /** A session for a code, which is spent by that. Throws LOGIN_CODE_INVALID. */
  openWithCode(code: string): { session: Session; token: string } {
    const digest = digestOf(code);
    const untilMs = this.#codes.get(digest);
    this.#codes.delete(digest);
    if (untilMs === undefined || untilMs <= this.#nowMs()) {
      throw new FirebreakError("LOGIN_CODE_INVALID", "the code has been used, has expired or was never given out", {
        hint: "Get another one on the daemon's host: firebreak dashboard",
      });
    }
    return this.#open({ name: OWNER_NAME });
  }

  /** A session for an API key, which ends with it. Throws what KeyRing.authenticate throws. */
  openWithKey(key: string): { session: Session; token: string } {
    const { id, name } = this.#options.keys.authenticate(key);
    return this.#open({ name, keyId: id });
  }

  /** Whose session a cookie's token is. Throws SESSION_ENDED. */
  authenticate(token: string): Session {
    const digest = digestOf(token);
    // A digest is looked for rather than a token: what the time taken tells of it is of no use.
    const record = this.#records.find((one) => one.digest === digest);
    if (record === undefined || !this.#isAlive(record)) {
      throw new FirebreakError("SESSION_ENDED", "the session has ended, or is none of this daemon's", {
        hint: "Sign in again: firebreak dashboard",
      });
    }
    const now = this.#nowMs();
    if (now - record.usedAtMs >= LAST_USE_STEP_MS) {
      record.usedAtMs = now;
      this.#keep();
    }
    return toSession(record);
  }

  /** Whether a session is there and has not ended. */
  isUsable(id: string): boolean {
    return this.#records.some((record) => record.id === id && this.#isAlive(record));
  }

  /** Signs out. */
  end(id: string): void {
    this.#records = this.#records.filter((record) => record.id !== id);
    this.#keep();
  }

  #open({ name, keyId }: { name: string; keyId?: string }): { session: Session; token: string } {
    const token = randomBytes(32).toString("base64url");
    const now = this.#nowMs();
    const id = `s${randomBytes(8).toString("hex")}`;
    const record = { id, name, keyId, digest: digestOf(token), createdAtMs: now, usedAtMs: now };
    const alive = this.#records.filter((one) => this.#isAlive(one)).sort((a, b) => a.usedAtMs - b.usedAtMs);
    this.#records = [...alive.slice(1 - MAX_SESSIONS), record];
    this.#keep();
    return { session: toSession(record), token };
  }

  #isAlive({ keyId, createdAtMs, usedAtMs }: SessionRecord): boolean {
    const now = this.#nowMs();
    if (now - usedAtMs >= IDLE_MS || now - createdAtMs >= LIFE_MS) return false;
    return keyId === undefined || this.#options.keys.isUsable(keyId);
  }

  #keep(): void {
    try {
      this.#options.settings.set(SETTING, this.#records);
    } catch {
      // A full disk is no reason to refuse anybody: this daemon knows its sessions, and the next one asks to sign in again.
    }
  }
}

function toSession({ id, name, keyId }: SessionRecord): Session {
  return { id, name, keyId, isOwner: keyId === undefined };
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}
