import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { ApiKey, CreatedKey, KeyCreate } from "../contract/key.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { KeyRecord, SqliteKeyStore } from "../store/keys.ts";

/** 256 random bits in base64url: too many to guess, so that a plain digest is enough to keep. */
const KEY_PATTERN = /^fbk_[A-Za-z0-9_-]{43}$/;
/** How coarsely the last use is kept: a write a request would cost more than the request. */
const LAST_USE_STEP_MS = 60_000;

/** The daemon's API keys. */
export class KeyRing {
  readonly #store: SqliteKeyStore;
  readonly #nowMs: () => number;
  #records: KeyRecord[];

  constructor(store: SqliteKeyStore, nowMs: () => number = Date.now) {
    this.#store = store;
    this.#nowMs = nowMs;
    this.#records = store.list();
  }

  /** A new key; the answer is the only place where it ever is. Throws KEY_ALREADY_EXISTS. */
  create(request: KeyCreate): CreatedKey {
    const key = `fbk_${randomBytes(32).toString("base64url")}`;
    const id = `k${randomBytes(4).toString("hex")}`;
    const now = this.#nowMs();
    const facts: ApiKey = {
      id,
      name: request.name ?? id,
      createdAt: new Date(now).toISOString(),
      ...(request.lifeMs === undefined ? {} : { expiresAt: new Date(now + request.lifeMs).toISOString() }),
    };
    this.#store.insert({ ...facts, digest: digestOf(key) });
    this.#records = this.#store.list();
    return { ...facts, key };
  }

  list(): ApiKey[] {
    return this.#records.map(withoutDigest);
  }

  /** Whether a key, by its id, is there and its time is not over. */
  isUsable(id: string): boolean {
    return this.#records.some((record) => record.id === id && !this.#isExpired(record));
  }

  /** By name or id; from now on no request is answered for it. Throws KEY_NOT_FOUND. */
  revoke(nameOrId: string): ApiKey {
    const record = this.#records.find(({ id, name }) => id === nameOrId || name === nameOrId);
    if (record === undefined) {
      throw new FirebreakError("KEY_NOT_FOUND", `no API key is named '${nameOrId}'`, {
        hint: "List them: firebreak key list",
      });
    }
    this.#store.remove(record);
    this.#records = this.#store.list();
    return withoutDigest(record);
  }

  /** Whether there is a key that a caller could use. */
  hasUsable(): boolean {
    return this.#records.some((record) => !this.#isExpired(record));
  }

  /** The key that a caller presents. Throws API_KEY_INVALID or API_KEY_EXPIRED. */
  authenticate(presented: string): ApiKey {
    const record = KEY_PATTERN.test(presented) ? this.#find(digestOf(presented)) : undefined;
    if (record === undefined) {
      throw new FirebreakError("API_KEY_INVALID", "the API key is none of this daemon's, or has been revoked", {
        hint: "Make one on the daemon's host: firebreak key create",
      });
    }
    if (this.#isExpired(record)) {
      throw new FirebreakError("API_KEY_EXPIRED", `the API key '${record.name}' expired at ${record.expiresAt}`, {
        hint: "Make one on the daemon's host: firebreak key create",
      });
    }
    this.#noteUse(record);
    return withoutDigest(record);
  }

  /** Compares with every key, so that the time taken tells nothing of any. */
  #find(digest: Buffer): KeyRecord | undefined {
    let found: KeyRecord | undefined;
    for (const record of this.#records) if (timingSafeEqual(record.digest, digest)) found = record;
    return found;
  }

  #isExpired(record: KeyRecord): boolean {
    return record.expiresAt !== undefined && Date.parse(record.expiresAt) <= this.#nowMs();
  }

  #noteUse(record: KeyRecord): void {
    const now = this.#nowMs();
    if (record.lastUsedAt !== undefined && now - Date.parse(record.lastUsedAt) < LAST_USE_STEP_MS) return;
    record.lastUsedAt = new Date(now).toISOString();
    try {
      this.#store.setLastUsed(record.id, record.lastUsedAt);
    } catch {
      // A full disk is no reason to refuse a caller; the next use that is noted makes up for it.
    }
  }
}

function digestOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

function withoutDigest({ digest: _, ...facts }: KeyRecord): ApiKey {
  return { ...facts };
}
