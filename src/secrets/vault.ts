import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { closeSync, fchmodSync, fstatSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { VaultState } from "./secret-store.ts";

const KEY_BYTES = 32;
/** NIST SP 800-38D: 96 bits, never twice under one key; drawn at random, 2^32 values are safe. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Enough to tell keys apart; it leads to none. */
const CHECK_BYTES = 16;
const CIPHER = "aes-256-gcm";

/** Encrypts what is kept of secrets, with a key in a file of its own: a copy of the database alone tells nothing. */
export class Vault {
  readonly #keyFile: string;
  readonly #state: VaultState;
  #key: Buffer | undefined;

  constructor(keyFile: string, state: VaultState) {
    this.#keyFile = keyFile;
    this.#state = state;
  }

  /** `about` is bound to the text: one row's does not pass for another's. Throws VAULT_KEY_… as all that needs the key. */
  seal(text: string, about: string): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#encryptionKey(), nonce).setAAD(Buffer.from(about));
    return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
  }

  /** Undefined when it was sealed for something else, or has been altered. */
  open(sealed: Uint8Array, about: string): string | undefined {
    const bytes = Buffer.from(sealed);
    const key = this.#encryptionKey();
    try {
      const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAAD(Buffer.from(about)).setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
      const text = decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES));
      return Buffer.concat([text, decipher.final()]).toString("utf8");
    } catch {
      return undefined;
    }
  }

  /** Bytes that only this key leads to, the same each time, for another purpose. */
  derive(purpose: string, length: number): Buffer {
    return derive(this.#require(), purpose, length);
  }

  #encryptionKey(): Buffer {
    return this.derive("vault", KEY_BYTES);
  }

  /** The key that all is sealed with; a new one where nothing is. */
  #require(): Buffer {
    this.#key ??= this.#choose();
    return this.#key;
  }

  #choose(): Buffer {
    const { readCheck, keepCheck, holdsAny } = this.#state;
    const [key, check] = [this.#load(), readCheck()];
    if (key === undefined && holdsAny())
      throw new FirebreakError("VAULT_KEY_MISSING", `the vault's key ${this.#keyFile} is gone`, {
        hint: "Put it back from a backup; without it the values are lost, and the secrets have to be deleted and set anew.",
      });
    const chosen = key ?? this.#make();
    const own = derive(chosen, "key check", CHECK_BYTES).toString("hex");
    if (check !== undefined && check !== own && holdsAny())
      throw new FirebreakError("VAULT_KEY_WRONG", `${this.#keyFile} is not the key that the vault was sealed with`, {
        hint: "Put the right one there from a backup; without it the values are lost, and the secrets have to be deleted and set anew.",
      });
    if (check !== own) keepCheck(own);
    return chosen;
  }

  /** Undefined where there is none, or one that was cut off as it was made. */
  #load(): Buffer | undefined {
    let fd: number;
    try {
      fd = openSync(this.#keyFile, "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    try {
      const mode = fstatSync(fd).mode & 0o777;
      if ((mode & 0o077) !== 0)
        throw new FirebreakError(
          "VAULT_KEY_EXPOSED",
          `others may read the vault's key ${this.#keyFile} (mode ${mode.toString(8)})`,
          {
            hint: `If nobody has: chmod 600 ${this.#keyFile}`,
          },
        );
      const key = readFileSync(fd);
      if (key.length === 0) return undefined;
      if (key.length !== KEY_BYTES)
        throw new FirebreakError(
          "VAULT_KEY_WRONG",
          `${this.#keyFile} is no key: it has ${key.length} bytes, not ${KEY_BYTES}`,
        );
      return key;
    } finally {
      closeSync(fd);
    }
  }

  /** On the disk before anything is sealed with it. */
  #make(): Buffer {
    const key = randomBytes(KEY_BYTES);
    const partial = `${this.#keyFile}.new`;
    const fd = openSync(partial, "w", 0o600);
    try {
      fchmodSync(fd, 0o600);
      writeSync(fd, key);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(partial, this.#keyFile);
    const folder = openSync(path.dirname(this.#keyFile), "r");
    fsyncSync(folder);
    closeSync(folder);
    return key;
  }
}

function derive(key: Buffer, purpose: string, length: number): Buffer {
  return Buffer.from(hkdfSync("sha256", key, "", `firebreak ${purpose}`, length));
}
