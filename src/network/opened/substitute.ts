import type { GrantedSecret } from "../../secrets/service.ts";

/** A secret as one flow uses it. */
export interface FlowSecret {
  secret: GrantedSecret;
  /** The flow goes to one of its hosts. */
  isForHost: boolean;
}

export interface Substitution {
  /** Names of secrets whose values went in. */
  used: Set<string>;
  /** Names of secrets whose placeholders went out as they are: the host is none of theirs. */
  misplaced: Set<string>;
}

export function newSubstitution(): Substitution {
  return { used: new Set(), misplaced: new Set() };
}

/** A header's value with values in the places of placeholders, also in what Basic authentication has encoded. */
export function substituteHeader(
  name: string,
  value: string,
  secrets: readonly FlowSecret[],
  into: Substitution,
): string {
  const [, encoded] = name.toLowerCase() === "authorization" ? (/^Basic +([A-Za-z0-9+/=]+) *$/i.exec(value) ?? []) : [];
  if (encoded === undefined) return substitute(value, "header", secrets, into);
  const decoded = Buffer.from(encoded, "base64").toString("utf8");
  const changed = substitute(decoded, "header", secrets, into);
  return changed === decoded ? value : `Basic ${Buffer.from(changed).toString("base64")}`;
}

/** A path with values in its query. */
export function substitutePath(path: string, secrets: readonly FlowSecret[], into: Substitution): string {
  const question = path.indexOf("?");
  if (question < 0) {
    noteMisplaced(path, "query", secrets, into);
    return path;
  }
  return path.slice(0, question) + substitute(path.slice(question), "query", secrets, into, encodeURIComponent);
}

/** A body of text, JSON or form fields. */
export function substituteBody(body: Buffer, type: string, secrets: readonly FlowSecret[], into: Substitution): Buffer {
  const text = body.toString("utf8");
  const encode = type.includes("json")
    ? (value: string) => JSON.stringify(value).slice(1, -1)
    : type.includes("x-www-form-urlencoded")
      ? encodeURIComponent
      : (value: string) => value;
  const changed = substitute(text, "body", secrets, into, encode);
  return changed === text ? body : Buffer.from(changed);
}

function substitute(
  text: string,
  place: "header" | "query" | "body",
  secrets: readonly FlowSecret[],
  into: Substitution,
  encode: (value: string) => string = (value) => value,
): string {
  noteMisplaced(text, place, secrets, into);
  let changed = text;
  for (const { secret, isForHost } of secrets) {
    if (!isForHost || !secret.places.includes(place) || !changed.includes(secret.placeholder)) continue;
    changed = changed.replaceAll(secret.placeholder, () => encode(secret.value()));
    into.used.add(secret.name);
  }
  return changed;
}

function noteMisplaced(
  text: string,
  place: "header" | "query" | "body",
  secrets: readonly FlowSecret[],
  into: Substitution,
): void {
  for (const { secret, isForHost } of secrets)
    if ((!isForHost || !secret.places.includes(place)) && text.includes(secret.placeholder))
      into.misplaced.add(secret.name);
}

/** Masks the values of secrets in what comes back: a host that says what it was sent must not hand it to the guest. What is masked keeps its length. */
export class Scrubber {
  readonly #values: Buffer[];
  readonly #longest: number;
  #held = Buffer.alloc(0);

  constructor(values: readonly string[]) {
    this.#values = values.map((value) => Buffer.from(value)).filter((value) => value.length > 0);
    this.#longest = Math.max(0, ...this.#values.map((value) => value.length));
  }

  /** What can be passed on by now: a piece that may be the beginning of a value waits for the next one. */
  push(chunk: Buffer): Buffer {
    if (this.#longest === 0) return chunk;
    const all = this.#held.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk]);
    this.#mask(all);
    const held = this.#beginningAtEnd(all);
    this.#held = all.subarray(all.length - held);
    return all.subarray(0, all.length - held);
  }

  end(): Buffer {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest;
  }

  #mask(bytes: Buffer): void {
    for (const value of this.#values)
      for (let at = bytes.indexOf(value); at >= 0; at = bytes.indexOf(value, at + value.length))
        bytes.fill("*", at, at + value.length);
  }

  #beginningAtEnd(bytes: Buffer): number {
    for (let length = Math.min(this.#longest - 1, bytes.length); length > 0; length--) {
      const tail = bytes.subarray(bytes.length - length);
      if (this.#values.some((value) => value.length > length && value.subarray(0, length).equals(tail))) return length;
    }
    return 0;
  }
}
