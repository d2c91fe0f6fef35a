import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { failureOf, StorageRefusal } from "./s3-failure.ts";
import type { ResultStorage } from "./storage.ts";

/** After a try that may have been bad luck, ms: four in all. */
const RETRY_WAITS_MS: readonly number[] = [250, 1_000, 4_000];
/** A connection on which nothing moves for so long is given up, ms. */
const IDLE_MS = 30_000;
/** Between all that is sent and the whole head of an answer, which may come byte for byte. */
const ANSWER_MS = 60_000;
const MAX_ERROR_BYTES = 64 * 1024;
const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

export interface S3Settings {
  bucket: string;
  /** Without slashes at its ends; "" for none. */
  prefix: string;
  /** Undefined: AWS. */
  endpoint: string | undefined;
  region: string;
}

export interface S3Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string | undefined;
}

export interface S3Options {
  settings: S3Settings;
  /** As they are now. Throws SECRET_… */
  keys: () => S3Keys;
  agent: http.Agent;
  waitsMs?: readonly number[];
  idleMs?: number;
  answerMs?: number;
}

interface Wanted {
  method: "GET" | "PUT" | "DELETE";
  headers?: Record<string, string>;
  /** A file of this host, with the digest that its content must have. */
  file?: { path: string; sizeBytes: number; sha256: string };
}

/**
 * A bucket of S3, or of what speaks its protocol. Files go there in one request each, from the disk: none is as large as the 5 GB that need several. What arrives
 * is checked there against the digest, which is signed. All methods throw RESULT_STORAGE_FAILED, after some tries where that may help.
 */
export class S3Storage implements ResultStorage {
  readonly #options: S3Options;

  constructor(options: S3Options) {
    this.#options = options;
  }

  get place(): string {
    const { bucket, prefix } = this.#options.settings;
    return `s3://${bucket}${prefix === "" ? "" : `/${prefix}`}`;
  }

  async put(digest: string, file: string, sizeBytes: number): Promise<void> {
    const sha256 = hexOf(digest);
    const response = await this.#request(digest, { method: "PUT", file: { path: file, sizeBytes, sha256 } });
    response.resume();
    await rm(file, { force: true });
  }

  async get(
    digest: string,
    { offset = 0, length }: { offset?: number | undefined; length?: number | undefined },
  ): Promise<Readable> {
    if (length === 0) return Readable.from([]);
    const end = length === undefined ? undefined : offset + length;
    const first = await this.#open(digest, offset, end);
    return first === undefined ? Readable.from([]) : Readable.from(this.#read(digest, first, offset, end));
  }

  async delete(digest: string): Promise<void> {
    (await this.#request(digest, { method: "DELETE" })).resume();
  }

  /** Undefined when there is nothing from there on. */
  async #open(digest: string, from: number, end: number | undefined): Promise<http.IncomingMessage | undefined> {
    const isPart = from > 0 || end !== undefined;
    const range = `bytes=${from}-${end === undefined ? "" : end - 1}`;
    try {
      const response = await this.#request(digest, { method: "GET", headers: isPart ? { range } : {} });
      if (!isPart || response.statusCode === 206) return response;
      response.destroy();
      throw new FirebreakError("RESULT_STORAGE_FAILED", `${this.place} does not know ranges`);
    } catch (error) {
      if (error instanceof StorageRefusal && error.status === 416) return undefined;
      if (error instanceof StorageRefusal && error.status === 404 && error.reason !== "NoSuchBucket")
        throw new FirebreakError("ARTIFACT_CORRUPT", `the content of the file is missing in ${this.place}`);
      throw error;
    }
  }

  /** A connection that breaks is gone on from where it was. */
  async *#read(
    digest: string,
    first: http.IncomingMessage,
    offset: number,
    end: number | undefined,
  ): AsyncGenerator<Buffer> {
    let body: http.IncomingMessage | undefined = first;
    let done = offset;
    for (let failures = 0; body !== undefined; ) {
      try {
        for await (const piece of body) {
          done += (piece as Buffer).length;
          failures = 0;
          yield piece as Buffer;
        }
        return;
      } catch (error) {
        if (failures++ > 0) throw this.#failed(error);
        body = end !== undefined && done >= end ? undefined : await this.#open(digest, done, end);
      }
    }
  }

  /** An answer of 2xx, whose body is still to be read. */
  async #request(digest: string, wanted: Wanted): Promise<http.IncomingMessage> {
    const { waitsMs = RETRY_WAITS_MS } = this.#options;
    for (let tries = 0; ; tries++) {
      try {
        return await this.#try(digest, wanted);
      } catch (error) {
        const waitMs = waitsMs[tries];
        const isLuck =
          error instanceof StorageRefusal ? error.mayPass : !(error instanceof FirebreakError && isOurs(error));
        if (!isLuck || waitMs === undefined) throw this.#failed(error);
        await sleep(waitMs * (0.75 + Math.random() / 2));
      }
    }
  }

  async #try(digest: string, { method, headers = {}, file }: Wanted): Promise<http.IncomingMessage> {
    const { AwsV4Signer } = await import("aws4fetch");
    const { settings, keys, agent, idleMs = IDLE_MS, answerMs = ANSWER_MS } = this.#options;
    const { sessionToken, ...rest } = keys();
    const signed = await new AwsV4Signer({
      ...rest,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      method,
      url: urlOf(settings, hexOf(digest)).href,
      headers: { ...headers, "x-amz-content-sha256": file?.sha256 ?? EMPTY_SHA256 },
      service: "s3",
      region: settings.region,
    }).sign();
    const send = signed.url.protocol === "https:" ? https.request : http.request;
    const length = file === undefined ? {} : { "content-length": String(file.sizeBytes) };
    const request = send(signed.url, { method, agent, headers: { ...Object.fromEntries(signed.headers), ...length } });
    request.setTimeout(idleMs, () => request.destroy(new Error(`nothing came for ${idleMs / 1000} s`)));
    let patience: NodeJS.Timeout | undefined;
    request.once("finish", () => {
      patience = setTimeout(() => request.destroy(new Error(`no answer for ${answerMs / 1000} s`)), answerMs);
    });
    request.once("close", () => clearTimeout(patience));
    request.once("response", () => clearTimeout(patience));
    const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
      request.once("response", resolve);
      request.on("error", reject);
    });
    // A refusal may come before all is sent, which then breaks off: what was answered is what matters.
    const sent = file === undefined ? request.end() : pipeline(createReadStream(file.path), request).catch(() => {});
    const response = await answered;
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) {
      await sent;
      return response;
    }
    const text = await readStart(response);
    request.destroy();
    throw failureOf(status, response.headers, text);
  }

  #failed(thrown: unknown): FirebreakError | StorageRefusal {
    if (thrown instanceof StorageRefusal && [404, 416].includes(thrown.status) && thrown.reason !== "NoSuchBucket")
      return thrown;
    if (thrown instanceof FirebreakError && isOurs(thrown)) return thrown;
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return new FirebreakError("RESULT_STORAGE_FAILED", `${this.place}: ${why}`, {
      hint: "Look at [tasks] of firebreak.toml: storage, storage_endpoint, storage_region, storage_keys.",
    });
  }
}

/** Of firebreak.toml or of the vault, and no matter of luck. */
function isOurs({ code }: FirebreakError): boolean {
  return code.startsWith("SECRET_") || code.startsWith("VAULT_") || code === "RESULT_STORAGE_FAILED";
}

function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}

/** In AWS a bucket is a host of its own; elsewhere it is the first part of the path, which needs no names. */
export function urlOf({ bucket, prefix, endpoint, region }: S3Settings, name: string): URL {
  const key = prefix === "" ? name : `${prefix}/${name}`;
  if (endpoint === undefined) return new URL(`https://${bucket}.s3.${region}.amazonaws.com/${key}`);
  return new URL(`${endpoint.replace(/\/+$/, "")}/${bucket}/${key}`);
}

async function readStart(response: http.IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const piece of response) {
      pieces.push(piece as Buffer);
      size += (piece as Buffer).length;
      if (size > MAX_ERROR_BYTES) break;
    }
  } catch {
    // The status says enough.
  }
  return Buffer.concat(pieces).toString("utf8");
}
