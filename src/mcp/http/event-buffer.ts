import { randomBytes } from "node:crypto";
import type { EventStore, JSONRPCMessage, RequestId } from "@modelcontextprotocol/server";
import { FirebreakError } from "../../errors/firebreak-error.ts";

/** Kept of one stream: more are steps of progress, and the answer is the last. */
const MAX_EVENTS_PER_STREAM = 64;
/** Kept of all streams of a session; the oldest go first. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Ids of requests that an event's id names: longer ones are left out. */
const MAX_IDS_LENGTH = 256;

interface Event {
  sequence: number;
  streamId: string;
  message: JSONRPCMessage;
  bytes: number;
}

/** What has been sent on a session's streams lately, so that a client whose connection broke can read on where it was. */
export class EventBuffer implements EventStore {
  /** In event ids: those of an earlier process, or of another session, are not ours. */
  readonly #nonce = randomBytes(6).toString("base64url");
  readonly #requestIdsOf: (streamId: string) => RequestId[];
  #events: Event[] = [];
  #bytes = 0;
  #sequence = 0;

  /** `requestIdsOf` tells what a stream will answer; it is called for each event. */
  constructor(requestIdsOf: (streamId: string) => RequestId[]) {
    this.#requestIdsOf = requestIdsOf;
  }

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    const sequence = ++this.#sequence;
    const bytes = JSON.stringify(message).length;
    this.#events.push({ sequence, streamId, message, bytes });
    this.#bytes += bytes;
    const ofStream = this.#events.filter((event) => event.streamId === streamId);
    if (ofStream.length > MAX_EVENTS_PER_STREAM) this.#drop((event) => event === ofStream[0]);
    while (this.#bytes > MAX_BYTES && this.#events.length > 1) this.#drop((event) => event === this.#events[0]);
    return encodeEventId({ nonce: this.#nonce, sequence, streamId, requestIds: this.#requestIdsOf(streamId) });
  }

  async getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    const position = this.#locate(eventId);
    return position?.streamId;
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const position = this.#locate(lastEventId);
    if (position === undefined) throw new FirebreakError("INVALID_ARGUMENT", "the event to go on after is not known");
    const { streamId, sequence } = position;
    for (const event of this.#events.filter((kept) => kept.streamId === streamId && kept.sequence > sequence)) {
      // What only began the stream is no message.
      if (!("jsonrpc" in event.message)) continue;
      const requestIds = this.#requestIdsOf(streamId);
      await send(encodeEventId({ nonce: this.#nonce, sequence: event.sequence, streamId, requestIds }), event.message);
    }
    return streamId;
  }

  /** Whether a request's answer is among what has been sent on a stream. */
  hasAnswer(streamId: string, requestId: RequestId): boolean {
    return this.#events.some(
      ({ streamId: of, message }) =>
        of === streamId && "id" in message && message.id === requestId && !("method" in message),
    );
  }

  /** A stream that has been read to its end. */
  forget(streamId: string): void {
    this.#drop((event) => event.streamId === streamId);
  }

  clear(): void {
    this.#events = [];
    this.#bytes = 0;
  }

  #locate(eventId: string): EventPosition | undefined {
    const position = decodeEventId(eventId);
    return position?.nonce === this.#nonce ? position : undefined;
  }

  #drop(isGone: (event: Event) => boolean): void {
    this.#events = this.#events.filter((event) => {
      const goes = isGone(event);
      if (goes) this.#bytes -= event.bytes;
      return !goes;
    });
  }
}

export interface EventPosition {
  nonce: string;
  sequence: number;
  streamId: string;
  /** What the stream is the answer to, so that whoever does not know the event can still say that the answer is lost. */
  requestIds: RequestId[];
}

function encodeEventId({ nonce, sequence, streamId, requestIds }: EventPosition): string {
  const ids = JSON.stringify(requestIds).length <= MAX_IDS_LENGTH ? requestIds : [];
  return Buffer.from(JSON.stringify([nonce, sequence, streamId, ids])).toString("base64url");
}

/** An event id that some process of ours made; undefined for anything else, since clients can send what they like. */
export function decodeEventId(eventId: string): EventPosition | undefined {
  if (eventId.length > 1024) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(eventId, "base64url").toString("utf8"));
    if (!Array.isArray(value) || value.length !== 4) return undefined;
    const [nonce, sequence, streamId, requestIds] = value as unknown[];
    if (typeof nonce !== "string" || !Number.isSafeInteger(sequence) || typeof streamId !== "string") return undefined;
    if (!Array.isArray(requestIds) || !requestIds.every(isRequestId)) return undefined;
    return { nonce, sequence: sequence as number, streamId, requestIds };
  } catch {
    return undefined;
  }
}

export function isRequestId(value: unknown): value is RequestId {
  return typeof value === "string" || Number.isSafeInteger(value);
}
