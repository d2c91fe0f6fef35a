import type { StreamLine } from "../../../src/contract/daemon.ts";
import type { Progress } from "../../../src/contract/vm.ts";
import type { ErrorBody } from "../../../src/errors/firebreak-error.ts";

/** What a request of this page has and one that another site's page makes has not: the daemon wants it of all that changes anything. */
const OWN_REQUEST = { "x-firebreak-dashboard": "1" };

/** An answer of the daemon's that is an error, or the lack of one. `code` is one of docs/errors.md, or NETWORK. */
export class ApiError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly status: number;

  constructor(status: number, { code, message, hint }: { code: string; message: string; hint?: string | undefined }) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

export interface RequestOptions {
  body?: unknown;
  /** Bytes in the place of JSON: a file. */
  bytes?: Blob;
  query?: Readonly<Record<string, Query>>;
  signal?: AbortSignal;
  accept?: string;
  /** Others, in lower case. */
  headers?: Readonly<Record<string, string>>;
}
type Query = string | number | boolean | readonly string[] | undefined;

/** Called whenever the daemon says that nobody is logged in (any more). */
let onSignedOut: () => void = () => {};
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

/** `/v1/tasks` and `{state: ["queued"], agent: undefined}` to `/v1/tasks?state=queued`. */
export function withQuery(path: string, query: Readonly<Record<string, Query>> = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) parameters.append(name, String(one));
  }
  const text = parameters.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** A request's answer, whatever its form. Throws ApiError. */
export async function fetchApi(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
  const { body, bytes, query, signal, accept } = options;
  const headers: Record<string, string> = { ...options.headers, ...OWN_REQUEST };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (bytes !== undefined) headers["content-type"] = "application/octet-stream";
  if (accept !== undefined) headers.accept = accept;
  let response: Response;
  try {
    response = await fetch(withQuery(path, query), {
      method,
      headers,
      credentials: "same-origin",
      cache: "no-store",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(bytes === undefined ? {} : { body: bytes }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, {
      code: "NETWORK",
      message: "the daemon does not answer",
      hint: "Is it running? firebreak daemon status",
    });
  }
  if (response.ok) return response;
  const error = await readError(response);
  if (response.status === 401) onSignedOut();
  throw error;
}

async function readError(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  try {
    const { error } = JSON.parse(text) as { error: ErrorBody };
    return new ApiError(response.status, error);
  } catch {
    return new ApiError(response.status, {
      code: `HTTP ${response.status}`,
      message: text.slice(0, 200) || "no reason given",
    });
  }
}

/** A JSON answer; undefined where there is nothing. Throws ApiError. */
export async function request<T>(method: string, path: string, options?: RequestOptions): Promise<T> {
  const text = await (await fetchApi(method, path, options)).text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

export const get = <T>(path: string, options?: RequestOptions): Promise<T> => request<T>("GET", path, options);
export const post = <T>(path: string, body: unknown = {}, options?: RequestOptions): Promise<T> =>
  request<T>("POST", path, { ...options, body });

/** The result of an answer in lines; its progress goes to `onProgress`. Throws ApiError. */
export async function requestLines<T>(
  method: string,
  path: string,
  options: RequestOptions & { onProgress?: (progress: Progress) => void } = {},
): Promise<T> {
  const response = await fetchApi(method, path, options);
  let result: T | undefined;
  for await (const line of readLines(response)) {
    const message = JSON.parse(line) as StreamLine<T>;
    if ("progress" in message) options.onProgress?.(message.progress);
    else if ("error" in message) throw new ApiError(500, message.error);
    else result = message.result;
  }
  if (result === undefined) throw new ApiError(0, { code: "NETWORK", message: "the answer broke off" });
  return result;
}

/** The lines of an answer as they come, empty ones left out unless they mean something. */
export async function* readLines(response: Response, { withEmpty = false } = {}): AsyncGenerator<string> {
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (withEmpty || line !== "") yield line;
    }
    if (rest !== "") yield rest;
  } finally {
    void reader.cancel().catch(() => {});
  }
}
