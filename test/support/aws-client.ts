import { createHash, createHmac, type Hmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import type { Received } from "./opened-pair.ts";

/** What AWS's own SDK for JavaScript signs with: a client in the place of the guest's, and the judge of what a host has got. */

export interface AwsKeys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

export interface AwsRequest {
  method: string;
  path: string;
  query?: Record<string, string | string[]>;
  headers: Record<string, string>;
  body?: string | Buffer;
}

/** As the SDK wants a hash. */
class Sha256 {
  #hash: Hmac | ReturnType<typeof createHash>;

  constructor(secret?: string | ArrayBufferView | ArrayBuffer) {
    this.#hash =
      secret === undefined ? createHash("sha256") : createHmac("sha256", secret as string | NodeJS.ArrayBufferView);
  }

  update(data: string | Uint8Array): void {
    this.#hash.update(data);
  }

  reset(): void {}

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
}

const dateOf = (time: string) =>
  new Date(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));

function signerOf(credentials: AwsKeys, service: string, applyChecksum = service === "s3"): SignatureV4 {
  return new SignatureV4({
    ...{ credentials, region: "eu-central-1", service, sha256: Sha256 },
    uriEscapePath: service !== "s3",
    applyChecksum,
  });
}

const toSdk = (request: AwsRequest) => ({
  ...request,
  ...{ protocol: "https:", hostname: request.headers.host ?? "" },
});

/** The headers of a request as the SDK sends it. */
export async function signHeaders(keys: AwsKeys, service: string, request: AwsRequest) {
  const { headers } = await signerOf(keys, service).sign(toSdk(request));
  return headers as Record<string, string>;
}

/** Who signs a URL of S3 does not know the body; where the URL does not say so, it is meant. */
function presignRequest(service: string, request: AwsRequest) {
  const name = "x-amz-content-sha256";
  const isSaid = service !== "s3" || Object.keys(request.headers).some((each) => each.toLowerCase() === name);
  const headers = isSaid ? request.headers : { ...request.headers, [name]: "UNSIGNED-PAYLOAD" };
  const unsaid = new Set(isSaid ? [] : [name]);
  return {
    request: toSdk({ ...request, headers }),
    options: { unsignableHeaders: unsaid, unhoistableHeaders: unsaid },
  };
}

/** A URL's path and query that needs no other signature. */
export async function presign(keys: AwsKeys, service: string, request: AwsRequest): Promise<string> {
  const { request: given, options } = presignRequest(service, request);
  const { path, query = {} } = await signerOf(keys, service).presign(given, { expiresIn: 600, ...options });
  return targetOf(path, query as Record<string, string>);
}

export function targetOf(path: string, query: Record<string, string | string[]> = {}): string {
  const pairs = Object.entries(query).flatMap(([name, values]) =>
    [values].flat().map((value) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`),
  );
  return pairs.length === 0 ? path : `${path}?${pairs.join("&")}`;
}

/** A body whose chunks are signed one after the other, the first after the request whose headers these are. */
export async function signChunks(
  keys: AwsKeys,
  service: string,
  { authorization, "x-amz-date": time = "" }: Record<string, string>,
  chunks: readonly string[],
  trailer?: Record<string, string>,
): Promise<string> {
  const signer = signerOf(keys, service);
  const scope = `${time.slice(0, 8)}/eu-central-1/${service}/aws4_request`;
  let signature = authorization?.split("Signature=")[1] ?? "";
  const next = async (algorithm: string, ...hashes: string[]) => {
    const text = [algorithm, time, scope, signature, ...hashes].join("\n");
    signature = await signer.sign(text, { signingDate: dateOf(time) });
    return signature;
  };
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
  let body = "";
  for (const chunk of chunks) {
    const signed = await next("AWS4-HMAC-SHA256-PAYLOAD", sha256(""), sha256(chunk));
    const end = chunk === "" && trailer !== undefined ? "" : "\r\n";
    body += `${chunk.length.toString(16)};chunk-signature=${signed}\r\n${chunk}${end}`;
  }
  if (trailer === undefined) return body;
  const lines = Object.entries(trailer).map(([name, value]) => `${name}:${value}`);
  const signed = await next("AWS4-HMAC-SHA256-TRAILER", sha256(lines.map((line) => `${line}\n`).join("")));
  return `${body}${lines.map((line) => `${line}\r\n`).join("")}x-amz-trailer-signature:${signed}\r\n\r\n`;
}

/** The signature that a request as it was received has, and the one that it would have by the keys. */
export async function judge(received: Received, keys: AwsKeys, service: string) {
  const url = new URL(received.url, "https://host.test");
  const query: Record<string, string[]> = {};
  for (const [name, value] of url.searchParams) query[name] = [...(query[name] ?? []), value];
  const authorization = received.headers.authorization;
  const names = (
    /SignedHeaders=([^,]+)/.exec(authorization ?? "")?.[1] ??
    query["X-Amz-SignedHeaders"]?.[0] ??
    ""
  ).split(";");
  const host = String(received.headers.host ?? received.headers[":authority" as "host"]);
  const all: Record<string, unknown> = { ...received.headers, host };
  const headers = Object.fromEntries(names.map((name) => [name, String(all[name])]));
  const inQuery = Object.keys(query).find((name) => name.toLowerCase() === "x-amz-content-sha256");
  const declared = received.headers["x-amz-content-sha256"] ?? query[inQuery ?? ""]?.[0];
  if (declared !== undefined) headers[inQuery ?? "x-amz-content-sha256"] = String(declared);
  const { method, body } = received;
  const request: AwsRequest = { ...{ method, body, headers, query }, path: received.url.split("?")[0] ?? "" };
  // It adds nothing that was not there.
  const signer = signerOf(keys, service, false);
  if (authorization !== undefined) {
    const options = { signingDate: dateOf(String(all["x-amz-date"])), signableHeaders: new Set(names) };
    const signed = await signer.sign(toSdk(request), options);
    return { given: authorization, expected: signed.headers.authorization };
  }
  const given = query["X-Amz-Signature"]?.[0];
  for (const name of Object.keys(query)) if (/^x-amz-/i.test(name)) delete query[name];
  const presigning = presignRequest(service, request);
  const { query: signed = {} } = await signer.presign(presigning.request, {
    ...presigning.options,
    ...{ expiresIn: 600, signingDate: dateOf(url.searchParams.get("X-Amz-Date") ?? "") },
    signableHeaders: new Set(names),
  });
  return { given, expected: signed["X-Amz-Signature"] };
}
