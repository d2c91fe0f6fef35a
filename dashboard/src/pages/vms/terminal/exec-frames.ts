/**
 * Frames of an exec stream, as src/contract/frames.ts has them for Node: type (u8), length (u32, big endian), payload. Over WebSocket each message that
 * comes is one whole frame.
 */
export const FRAME = {
  spec: 1,
  stdin: 2,
  started: 16,
  stdout: 17,
  skipped: 19,
  exit: 20,
  progress: 32,
  error: 33,
} as const;

const HEADER_BYTES = 5;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface ExecFrame {
  type: number;
  payload: Uint8Array<ArrayBuffer>;
}

export function encodeFrame(type: number, payload: Uint8Array | string): Uint8Array<ArrayBuffer> {
  const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
  const frame = new Uint8Array(HEADER_BYTES + bytes.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, type);
  view.setUint32(1, bytes.length);
  frame.set(bytes, HEADER_BYTES);
  return frame;
}

/** The frame of a message; undefined for what is none. */
export function decodeFrame(message: ArrayBuffer): ExecFrame | undefined {
  if (message.byteLength < HEADER_BYTES) return undefined;
  const view = new DataView(message);
  if (view.getUint32(1) !== message.byteLength - HEADER_BYTES) return undefined;
  return { type: view.getUint8(0), payload: new Uint8Array(message, HEADER_BYTES) };
}

export function jsonOf<T>({ payload }: ExecFrame): T {
  return JSON.parse(decoder.decode(payload)) as T;
}
