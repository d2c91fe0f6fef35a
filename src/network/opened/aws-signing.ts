import type { Transform } from "node:stream";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { ChunkSigner } from "./aws-chunks.ts";
import { type AwsClaim, type AwsSignature, isSigV4, parseClaim, readClaims } from "./aws-claim.ts";
import {
  ALGORITHM,
  canonicalRequest,
  EMPTY_SHA256,
  type Header,
  headerValues,
  isEqual,
  type Message,
  queryParameters,
  type Reading,
  readingsOf,
  scopeOf,
  sha256,
  signingKey,
  signText,
  splitTarget,
  stringToSign,
} from "./aws-sigv4.ts";
import type { Refusal } from "./refusal.ts";
import type { FlowSecret } from "./substitute.ts";

/** What becomes of a request that is signed anew: its target, and headers to be set. */
export interface Resigned {
  target: string;
  set: Header[];
}

/** An access key as a flow has it. */
interface AwsKey {
  name: string;
  placeholder: string;
  value: () => string;
  accessKeyId: { name: string; value: () => string };
}

const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";
const UNSIGNED_FRAMES = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const SIGNED_FRAMES = ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"];
const HEX_DIGEST = /^[0-9a-f]{64}$/;

/** The signature of a request by the placeholder of an AWS key; undefined when there is none, which is nobody's business here. */
export function findSigning(message: Message, secrets: readonly FlowSecret[]): AwsSigning | Refusal | undefined {
  if (!secrets.some(({ secret, isForHost }) => isForHost && secret.aws !== undefined)) return undefined;
  const claims = readClaims(message);
  const found = claims.flatMap((claim) => {
    const key = keyOf(claim, secrets);
    return key === undefined ? [] : [{ claim, key }];
  })[0];
  if (found === undefined) return undefined;
  const { claim, key } = found;
  const refuse = (status: number, why: string) => ({ status, why: `not signed with the key ${key.name}: ${why}` });
  if (claims.length > 1) return refuse(403, "the request has several AWS signatures");
  if (!isSigV4(claim))
    return refuse(
      501,
      `its algorithm is ${JSON.stringify(claim.algorithm.slice(0, 50))}, and only ${ALGORITHM} is signed on this host; SigV4a is for endpoints of several regions: use one of a region`,
    );
  const signature = parseClaim(claim);
  if ("why" in signature) return refuse(403, signature.why);
  const given = headerValues(message.headers);
  const missing = signature.signedHeaders.find((name) => !given.has(name));
  if (missing !== undefined) return refuse(403, `the request lacks the header ${missing}, which it signs`);
  const payload = payloadOf(message, signature);
  const isKnown = [undefined, UNSIGNED_PAYLOAD, UNSIGNED_FRAMES, ...SIGNED_FRAMES].includes(payload);
  if (!isKnown && !HEX_DIGEST.test(payload ?? ""))
    return refuse(
      501,
      `its X-Amz-Content-Sha256 is ${JSON.stringify(payload?.slice(0, 80))}, which is not signed on this host`,
    );
  return new AwsSigning(message, signature, payload, key);
}

function keyOf({ accessKeyId }: AwsClaim, secrets: readonly FlowSecret[]): AwsKey | undefined {
  for (const { secret, isForHost } of secrets) {
    const id = isForHost ? secret.aws?.accessKeyId : undefined;
    if (id !== undefined && (accessKeyId === id.placeholder || accessKeyId === id.value()))
      return { name: secret.name, placeholder: secret.placeholder, value: secret.value, accessKeyId: id };
  }
  return undefined;
}

/** What a request says its body's hash is; undefined when that has to be found out. */
function payloadOf({ headers, target }: Message, { isPresigned, scope }: AwsSignature): string | undefined {
  const said = headerValues(headers).get("x-amz-content-sha256");
  if (said !== undefined || !isPresigned) return said;
  const parameters = queryParameters(splitTarget(target).query, "+");
  // SDKs write its name in this way and in that.
  const inQuery = parameters.find(([name]) => name.toLowerCase() === "x-amz-content-sha256");
  // Whoever signs a URL of S3 does not know the body.
  return inQuery?.[1] ?? (scope.service.startsWith("s3") ? UNSIGNED_PAYLOAD : undefined);
}

/** A request that was signed in the guest, with the placeholder, until it is signed on the host, with the key. */
export class AwsSigning {
  readonly #message: Message;
  readonly #signature: AwsSignature;
  readonly #payload: string | undefined;
  readonly #key: AwsKey;
  #reading: Reading | undefined;
  #signed: { key: Buffer; signature: string } | undefined;

  constructor(message: Message, signature: AwsSignature, payload: string | undefined, key: AwsKey) {
    this.#message = message;
    this.#signature = signature;
    this.#payload = payload;
    this.#key = key;
  }

  /** Secrets whose values go out with it. */
  get uses(): string[] {
    return [this.#key.name, this.#key.accessKeyId.name];
  }

  /** The body has to be read: nothing else says what its hash is. */
  get needsBody(): boolean {
    return this.#payload === undefined;
  }

  /** The body is in frames, whose lengths are in it. */
  get isFramed(): boolean {
    return this.#payload?.startsWith("STREAMING-") ?? false;
  }

  /** What is signed now; hosts that answer with it must not hand it to the guest. */
  get signature(): string | undefined {
    return this.#signed?.signature;
  }

  /** Why it is not signed; undefined once the guest's own signature has been found in order. `body` is what has been read of it. */
  refuse(body: Buffer | undefined): Refusal | undefined {
    const hash = this.#payload ?? hashOf(body);
    const { signature, signedHeaders, scope } = this.#signature;
    const key = signingKey(this.#key.placeholder, scope);
    this.#reading = readingsOf(this.#message.target).find((reading) => {
      const canonical = canonicalRequest(this.#message, signedHeaders, hash, reading);
      return isEqual(signText(key, stringToSign(scope, canonical)), signature);
    });
    const isOther = body !== undefined && HEX_DIGEST.test(hash) && hash !== hashOf(body);
    if (this.#reading !== undefined && !isOther) return undefined;
    return {
      status: 403,
      why: `not signed with the key ${this.#key.name}: the request's signature is not of its placeholder, or the request is not the one that was signed`,
    };
  }

  /** The request as it goes on, signed. `body` is given when it is another than the one that came. */
  sign(message: Message, body: Buffer | undefined): Resigned {
    const { signedHeaders, scope, isPresigned } = this.#signature;
    if (this.#reading === undefined)
      throw new FirebreakError("INTERNAL", "a request is signed after its own signature has been looked at");
    const set: Header[] = [];
    let target = message.target;
    let hash = this.#payload ?? hashOf(body);
    if (body !== undefined && HEX_DIGEST.test(hash) && hash !== hashOf(body)) {
      hash = hashOf(body);
      if (headerValues(message.headers).has("x-amz-content-sha256")) set.push(["x-amz-content-sha256", hash]);
      else target = withParameter(target, "X-Amz-Content-Sha256", hash);
    }
    const headers = [
      ...message.headers.filter(([name]) => !set.some(([other]) => other === name.toLowerCase())),
      ...set,
    ];
    // Of one hop, some headers go no further.
    const sent = headerValues(headers);
    const names = signedHeaders.filter((name) => sent.has(name));
    const id = this.#key.accessKeyId.value();
    if (isPresigned) {
      target = withParameter(target, "X-Amz-SignedHeaders", names.join(";"));
      target = withParameter(target, "X-Amz-Credential", `${id}/${scopeOf(scope)}`);
    }
    const key = signingKey(this.#key.value(), scope);
    const canonical = canonicalRequest({ ...message, target, headers }, names, hash, this.#reading);
    const signature = signText(key, stringToSign(scope, canonical));
    this.#signed = { key, signature };
    if (isPresigned) return { target: withParameter(target, "X-Amz-Signature", signature), set };
    const credential = `Credential=${id}/${scopeOf(scope)}`;
    const authorization = `${ALGORITHM} ${credential}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
    return { target, set: [...set, ["authorization", authorization]] };
  }

  /** Signs the frames of a body that is signed in frames; after `sign`. */
  chunkSigner(): Transform | undefined {
    if (this.#signed === undefined || !SIGNED_FRAMES.includes(this.#payload ?? "")) return undefined;
    const { scope, signature } = this.#signature;
    return new ChunkSigner({
      scope,
      keyName: this.#key.name,
      hasTrailer: this.#payload === SIGNED_FRAMES[1],
      guest: { key: signingKey(this.#key.placeholder, scope), signature },
      host: this.#signed,
    });
  }
}

function hashOf(body: Buffer | undefined): string {
  return body === undefined ? EMPTY_SHA256 : sha256(body);
}

/** A query in which a parameter has another value. */
function withParameter(target: string, name: string, value: string): string {
  const { path, query } = splitTarget(target);
  const pairs = query.split("&").map((pair) => {
    const written = pair.split("=")[0] ?? "";
    const [found] = queryParameters(written, "+");
    return found?.[0].toLowerCase() === name.toLowerCase() ? `${written}=${encodeURIComponent(value)}` : pair;
  });
  return `${path}?${pairs.join("&")}`;
}
