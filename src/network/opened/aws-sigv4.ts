import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/**
 * AWS Signature Version 4, as "Create a signed AWS API request" (AWS Identity and Access Management User Guide) has it: what a signature is of, and how it
 * is made. Texts are bytes (latin1), as Node gives headers and paths.
 */

export const ALGORITHM = "AWS4-HMAC-SHA256";

export type Header = readonly [name: string, value: string];

/** A request without its body. */
export interface Message {
  method: string;
  /** Path and query, as they are sent. */
  target: string;
  /** With `host`, also where HTTP/2 calls it `:authority`. */
  headers: readonly Header[];
}

/** What a signature is good for: a day, a region and a service. */
export interface Scope {
  /** As in `20130524T000000Z`. */
  time: string;
  region: string;
  service: string;
}

/** How a client has written a path and a query for its signature: services differ, and so do clients. */
export interface Reading {
  path: string;
  /** What a `+` of a query stands for. */
  plus: "+" | " ";
}

/**
 * S3 takes a path as it is sent, others normalise it and encode it once more. The one that a client has signed by is the one that its service goes by,
 * or its requests would fail without us, too.
 */
export function readingsOf(target: string): Reading[] {
  const path = splitTarget(target).path;
  const paths = new Set([path, encodePath(decode(path)), encodePath(normalise(path)), encodePath(path)]);
  return [...paths].flatMap((each) => [
    { path: each, plus: " " as const },
    { path: each, plus: "+" as const },
  ]);
}

/** The text that is hashed for a signature. A header that is not there has no value. */
export function canonicalRequest(
  { method, target, headers }: Message,
  signedHeaders: readonly string[],
  payloadHash: string,
  { path, plus }: Reading,
): string {
  const values = headerValues(headers);
  const lines = signedHeaders.map((name) => `${name}:${values.get(name) ?? ""}\n`);
  return [
    method,
    path,
    canonicalQuery(splitTarget(target).query, plus),
    lines.join(""),
    signedHeaders.join(";"),
    payloadHash,
  ].join("\n");
}

export function scopeOf({ time, region, service }: Scope): string {
  return `${time.slice(0, 8)}/${region}/${service}/aws4_request`;
}

export function stringToSign(scope: Scope, canonical: string): string {
  return [ALGORITHM, scope.time, scopeOf(scope), sha256(canonical)].join("\n");
}

export function signingKey(secretKey: string, { time, region, service }: Scope): Buffer {
  const parts = [time.slice(0, 8), region, service, "aws4_request"];
  return parts.reduce<Buffer>((key, part) => hmac(key, part).digest(), Buffer.from(`AWS4${secretKey}`));
}

export function signText(key: Buffer, text: string): string {
  return hmac(key, text).digest("hex");
}

export function isEqual(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}

export function sha256(data: string | Buffer): string {
  return createHash("sha256")
    .update(typeof data === "string" ? Buffer.from(data, "latin1") : data)
    .digest("hex");
}

export const EMPTY_SHA256 = sha256("");

/** All values of each header in one, as they are signed, by its name in lower case. */
export function headerValues(headers: readonly Header[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const [written, value] of headers) {
    const [name, text] = [written.toLowerCase(), value.trim().replace(/\s+/g, " ")];
    const before = values.get(name);
    values.set(name, before === undefined ? text : `${before},${text}`);
  }
  return values;
}

export function splitTarget(target: string): { path: string; query: string } {
  const question = target.indexOf("?");
  return question < 0
    ? { path: target, query: "" }
    : { path: target.slice(0, question), query: target.slice(question + 1) };
}

/** Name and value, decoded, of each parameter. */
export function queryParameters(query: string, plus: Reading["plus"]): Header[] {
  const read = (text: string) => decode(plus === " " ? text.replaceAll("+", " ") : text);
  return query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const equals = pair.indexOf("=");
      return equals < 0 ? [read(pair), ""] : [read(pair.slice(0, equals)), read(pair.slice(equals + 1))];
    });
}

function canonicalQuery(query: string, plus: Reading["plus"]): string {
  return queryParameters(query, plus)
    .filter(([name]) => name !== "X-Amz-Signature")
    .map(([name, value]): Header => [encode(name), encode(value)])
    .sort((one, two) => compare(one[0], two[0]) || compare(one[1], two[1]))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

const compare = (one: string, two: string) => (one < two ? -1 : one > two ? 1 : 0);

function normalise(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}${parts.length > 0 && path.endsWith("/") ? "/" : ""}`;
}

function encodePath(path: string): string {
  return path.split("/").map(encode).join("/");
}

/** All but what RFC 3986 calls unreserved. */
function encode(text: string): string {
  return text.replace(
    /[^A-Za-z0-9\-._~]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

function decode(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function hmac(key: Buffer, text: string) {
  return createHmac("sha256", key).update(Buffer.from(text, "latin1"));
}
