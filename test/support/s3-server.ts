import { createHash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { judge } from "./aws-client.ts";

/** What is used of s3rver, which has no types. */
interface S3rver {
  run(): Promise<AddressInfo>;
  close(): Promise<void>;
}
type S3rverClass = new (options: Record<string, unknown>) => S3rver;

/** The only keys that s3rver knows. */
export const S3_KEYS = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER", sessionToken: undefined };
/** Where `judge` has it that requests are for. */
export const S3_REGION = "eu-central-1";

/** A server of S3's protocol on loopback, with the bucket `results`. s3rver takes any signature of version 4: here they are verified by AWS's own signer, bodies against their hashes. */
export async function startS3Server(directory: string): Promise<{ endpoint: string; close: () => Promise<void> }> {
  const Server = createRequire(import.meta.url)("s3rver") as S3rverClass;
  const options = { address: "127.0.0.1", port: 0, silent: true, directory, configureBuckets: [{ name: "results" }] };
  const server = new Server(options);
  const { port } = await server.run();
  const front = http.createServer((request, response) => {
    answer(request, response, port).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  const close = async () => {
    front.closeAllConnections();
    front.close();
    await server.close();
  };
  return { endpoint: `http://127.0.0.1:${(front.address() as AddressInfo).port}`, close };
}

async function answer(request: http.IncomingMessage, response: http.ServerResponse, port: number): Promise<void> {
  const { method = "", url = "", headers } = request;
  const body = await buffer(request);
  const refuse = (code: string) => void response.writeHead(403).end(`<Error><Code>${code}</Code></Error>`);
  if (headers["x-amz-content-sha256"] !== createHash("sha256").update(body).digest("hex"))
    return refuse("XAmzContentSHA256Mismatch");
  const { accessKeyId, secretAccessKey } = S3_KEYS;
  const { given, expected } = await judge(
    { method, url, headers, body } as never,
    { accessKeyId, secretAccessKey },
    "s3",
  );
  if (given === undefined || signatureOf(given) !== signatureOf(expected)) return refuse("SignatureDoesNotMatch");
  const onward = http.request({ host: "127.0.0.1", port, method, path: url, headers, agent: false }, (answered) => {
    response.writeHead(answered.statusCode ?? 0, answered.headers);
    answered.pipe(response);
  });
  onward.once("error", () => response.destroy());
  onward.end(body);
}

function signatureOf(authorization: unknown): string | undefined {
  return /Signature=(\w+)/.exec(String(authorization))?.[1];
}
