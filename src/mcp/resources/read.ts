import {
  ProtocolError,
  ProtocolErrorCode,
  type ReadResourceResult,
  ResourceNotFoundError,
} from "@modelcontextprotocol/server";
import { toFirebreakError } from "../../errors/firebreak-error.ts";
import { toArtifactView } from "../artifact/artifact-view.ts";
import { countLeadingPart, countTrailingPart, decodeText, detectImage, toBase64 } from "../guest/bytes.ts";
import { readRange } from "../guest/read-range.ts";
import { toSnapshotView } from "../snapshot/snapshot-view.ts";
import { toVmView } from "../vm/vm-view.ts";
import type { VmClient } from "../vm-client.ts";
import { artifactUri, consoleUri, fileUri, outputUri, type Page, parseUri } from "./uri.ts";

/** Prefix of the keys of `_meta` that are ours. */
const META = "firebreak.dev/";
/** Most that is read of a console log or a command's output to find the page in, bytes: both are bounded in the daemon. */
const MAX_LOG_BYTES = 64 * 1024 * 1024;

export interface ReadOptions {
  client: VmClient;
  signal: AbortSignal;
}

/** Reads a resource. Throws ResourceNotFoundError when there is none; other failures carry their code in the error's data. */
export async function readResource(uri: string, options: ReadOptions): Promise<ReadResourceResult> {
  try {
    return await read(uri, options);
  } catch (thrown) {
    if (thrown instanceof ProtocolError) throw thrown;
    const error = toFirebreakError(thrown);
    if (error.class === "not_found") throw new ResourceNotFoundError(uri);
    const isCallers = error.class === "invalid_argument" || error.class === "failed_precondition";
    const code = isCallers ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError;
    throw new ProtocolError(code, error.message, error.toBody());
  }
}

async function read(uri: string, { client, signal }: ReadOptions): Promise<ReadResourceResult> {
  const address = parseUri(uri);
  switch (address?.kind) {
    case "vms":
      return json(uri, (await client.vms.list({ signal })).map(toVmView));
    case "vm":
      return json(uri, toVmView(await client.vms.get(address.vm, { signal })));
    case "snapshots":
      return json(uri, (await client.snapshots.list({ signal })).map(toSnapshotView));
    case "snapshot": {
      const { ancestors, ...snapshot } = await client.snapshots.get(address.snapshot, { signal });
      return json(uri, { ...toSnapshotView(snapshot), ancestors: ancestors.map(({ name }) => name) });
    }
    case "console": {
      const { vm, page } = address;
      const log = await readAll(await client.vms.logs(vm, false, { signal }), signal);
      return logPage(uri, log, page, (offset) => withPage(consoleUri(vm), offset, page.length));
    }
    case "output": {
      const { vm, exec, page } = address;
      const output = await readOutput(client, vm, exec, signal);
      return logPage(uri, output, page, (offset) => withPage(outputUri(vm, exec), offset, page.length));
    }
    case "file": {
      const { vm, path, page } = address;
      const offset = page.offset ?? 0;
      const range = await readRange(client, vm, path, { offset, length: page.length }, signal);
      const next = (from: number) => withPage(fileUri(vm, path), from, page.length);
      const { sizeBytes } = range.stat;
      return pageOf(uri, range.bytes, { offset, sizeBytes, hasMore: range.hasMore, next });
    }
    case "artifacts":
      return json(uri, (await client.artifacts.list({ signal })).map(toArtifactView));
    case "artifact": {
      const { length, offset = 0 } = address.page;
      const { id, name, sizeBytes } = await client.artifacts.get(address.artifact, { signal });
      const isBeyond = offset >= sizeBytes;
      const bytes = isBeyond
        ? Buffer.alloc(0)
        : await readAll(await client.artifacts.read(id, { offset, length }, { signal }), signal);
      const next = (from: number) => withPage(artifactUri(name), from, length);
      return pageOf(uri, bytes, { offset, sizeBytes, hasMore: !isBeyond && offset + bytes.length < sizeBytes, next });
    }
    default:
      throw new ResourceNotFoundError(uri);
  }
}

function withPage(uri: string, offset: number, length: number): string {
  return `${uri}?offset=${offset}&length=${length}`;
}

function json(uri: string, value: unknown): ReadResourceResult {
  return { contents: [{ uri, mimeType: "application/json", text: JSON.stringify(value, null, 2) }] };
}

/** Part of a log: its end, unless the caller said where to begin. */
function logPage(uri: string, log: Buffer, page: Page, next: (offset: number) => string): ReadResourceResult {
  const offset = Math.min(page.offset ?? Math.max(0, log.length - page.length), log.length);
  const bytes = log.subarray(offset, offset + page.length);
  const hasMore = offset + bytes.length < log.length;
  return pageOf(uri, bytes, { offset, sizeBytes: log.length, hasMore, next, isLog: true });
}

interface Part {
  offset: number;
  sizeBytes: number;
  hasMore: boolean;
  next: (offset: number) => string;
  /** Text for people, which may hold any bytes. */
  isLog?: boolean;
}

function pageOf(uri: string, bytes: Buffer, part: Part): ReadResourceResult {
  const start = part.offset > 0 ? countLeadingPart(bytes) : 0;
  const end = bytes.length - (part.hasMore ? countTrailingPart(bytes) : 0);
  const shown = bytes.subarray(start, end);
  const text = part.isLog ? shown.toString("utf8") : decodeText(shown);
  const [offset, length] = text === undefined ? [part.offset, bytes.length] : [part.offset + start, shown.length];
  const meta: Record<string, unknown> = {
    [`${META}offset`]: offset,
    [`${META}length`]: length,
    [`${META}sizeBytes`]: part.sizeBytes,
    ...(part.hasMore && length > 0 ? { [`${META}next`]: part.next(offset + length) } : {}),
  };
  if (text !== undefined) return { contents: [{ uri, mimeType: "text/plain", text, _meta: meta }] };
  const mimeType = (part.offset === 0 ? detectImage(bytes) : undefined) ?? "application/octet-stream";
  return { contents: [{ uri, mimeType, blob: toBase64(bytes), _meta: meta }] };
}

async function readOutput(client: VmClient, vm: string, exec: string, signal: AbortSignal): Promise<Buffer> {
  const stream = await client.execs.attach(vm, exec, 0, false, { signal });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const output of stream.output()) {
    if (output.type === "skipped") continue;
    chunks.push(output.bytes);
    bytes += output.bytes.length;
    if (bytes > MAX_LOG_BYTES) break;
  }
  stream.close();
  return Buffer.concat(chunks);
}

async function readAll(stream: AsyncIterable<Buffer>, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    signal.throwIfAborted();
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_LOG_BYTES) break;
  }
  return Buffer.concat(chunks);
}
