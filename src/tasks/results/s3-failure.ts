import type { IncomingHttpHeaders } from "node:http";

/** An answer that is no success. */
export class StorageRefusal extends Error {
  readonly status: number;
  /** The service's own word, such as NoSuchKey. */
  readonly reason: string | undefined;

  constructor(status: number, reason: string | undefined, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }

  /** Whether another try may do better. */
  get mayPass(): boolean {
    return this.status >= 500 || [408, 425, 429].includes(this.status) || this.reason === "RequestTimeout";
  }
}

/** What an answer of S3 says, in words; `body` is XML, or whatever a proxy has made of it. */
export function failureOf(status: number, headers: IncomingHttpHeaders, body: string): StorageRefusal {
  const reason = elementOf(body, "Code");
  const message = elementOf(body, "Message");
  const region = headers["x-amz-bucket-region"];
  const told = [
    `the answer was ${status}`,
    ...(reason === undefined ? [] : [reason]),
    ...(message === undefined ? [] : [message]),
    ...(status >= 300 && status < 400 && region !== undefined ? [`the bucket is in the region ${region}`] : []),
  ];
  return new StorageRefusal(status, reason, told.join(": "));
}

function elementOf(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]{1,300})`).exec(xml)?.[1];
  return text?.replaceAll(/\p{Cc}/gu, " ");
}
