import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { closeSync, fchmodSync, fstatSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import path from "node:path";
import { FirebreakError } from "../errors/firebreak-error.ts";

const KEY_BYTES = 32;
/** NIST SP 800-38D: 96 bits, never twice under one key; drawn at random, 2^32 values are safe. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = "aes-256-gcm";

/** Encrypts what is kept of secrets, with a key in a file of its own: a copy of the database alone tells nothing. */
export class Vault {
  readonly #keyFile: string;
  #key: Buffer | undefined;

  constructor(keyFile: string) {
    this.#keyFile = keyFile;
  }

  /** `about` is bound to the text: one row's does not pass for another's. Makes the key when there is none and `mayMake` says so. */
  seal(text: string, about: string, mayMake: boolean): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#encryptionKey(mayMake), nonce).setAAD(Buffer.from(about));
    return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
  }

  /** Throws VAULT_KEY_WRONG when it was sealed with another key, or has been altered. */
  open(sealed: Uint8Array, about: string): string {
    const bytes = Buffer.from(sealed);
    const key = this.#encryptionKey(false);
    try {
      const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAAD(Buffer.from(about)).setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
      const text = decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES));
      return Buffer.concat([text, decipher.final()]).toString("utf8");
    } catch {
      throw new FirebreakError("VAULT_KEY_WRONG", `${this.#keyFile} does not open what the vault holds`, {
        hint: "Put the right key there, or set the secret anew: firebreak secret set",
      });
    }
  }

  /** Bytes that only this key leads to, the same each time, for another purpose. */
  derive(purpose: string, length: number): Buffer {
    return Buffer.from(hkdfSync("sha256", this.#read(true), "", `firebreak ${purpose}`, length));
  }

  #encryptionKey(mayMake: boolean): Buffer {
    return Buffer.from(hkdfSync("sha256", this.#read(mayMake), "", "firebreak vault", KEY_BYTES));
  }

  #read(mayMake: boolean): Buffer {
    this.#key ??= this.#load() ?? (mayMake ? this.#make() : undefined);
    if (this.#key !== undefined) return this.#key;
    throw new FirebreakError("VAULT_KEY_MISSING", `the vault's key ${this.#keyFile} is gone`, {
      hint: "Put it back from a backup; without it the values are lost, and the secrets have to be deleted and set anew.",
    });
  }

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
    const fd = openSync(this.#keyFile, "wx", 0o600);
    try {
      fchmodSync(fd, 0o600);
      writeSync(fd, key);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    const folder = openSync(path.dirname(this.#keyFile), "r");
    fsyncSync(folder);
    closeSync(folder);
    return key;
  }
}
