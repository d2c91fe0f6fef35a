/** W3C Trace Context and Baggage as they travel with a request. What comes from outside is read strictly, and passed on as it was read. */

/** A span of somebody's. */
export interface SpanRef {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 hexadecimal digits. */
  spanId: string;
  /** Bit 0: somebody records this trace. */
  flags: number;
  tracestate?: string;
}

export interface TraceContext {
  /** What follows is part of it. */
  span?: SpanRef;
  baggage?: string;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const MAX_TRACEPARENT_LENGTH = 256;
/** Sampled, and random; others are not known here, and not passed on. */
const KNOWN_FLAGS = 0x03;
/** One member of a tracestate. */
const STATE_MEMBER =
  /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const MAX_STATE_MEMBERS = 32;
const MAX_STATE_LENGTH = 512;
/** One member of a baggage, properties included. */
const BAGGAGE_MEMBER = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+[ \t]*=[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e \t]*$/;
const MAX_BAGGAGE_MEMBERS = 64;
const MAX_BAGGAGE_LENGTH = 8_192;

/** Of a message's `_meta` or of a request's headers, which have the same names. Undefined for what has neither a traceparent nor baggage that is one. */
export function readTraceContext(source: Readonly<Record<string, unknown>>): TraceContext | undefined {
  const span = readSpan(source.traceparent, source.tracestate);
  const baggage = readList(source.baggage, BAGGAGE_MEMBER, MAX_BAGGAGE_MEMBERS, MAX_BAGGAGE_LENGTH);
  if (span === undefined && baggage === undefined) return undefined;
  return { ...(span === undefined ? {} : { span }), ...(baggage === undefined ? {} : { baggage }) };
}

/** What goes with a message or a request, for whoever it is for. */
export function writeTraceContext({ span, baggage }: TraceContext): Record<string, string> {
  return { ...(span === undefined ? {} : writeSpan(span)), ...(baggage === undefined ? {} : { baggage }) };
}

/** The headers that say again what is in the `_meta` of a message's parameters. */
export function traceHeaders(params: unknown): Record<string, string> {
  const meta = (params as { _meta?: Record<string, unknown> } | undefined)?._meta;
  const context = readTraceContext(typeof meta === "object" && meta !== null ? meta : {});
  return context === undefined ? {} : writeTraceContext(context);
}

function readSpan(traceparent: unknown, tracestate: unknown): SpanRef | undefined {
  if (typeof traceparent !== "string" || traceparent.length > MAX_TRACEPARENT_LENGTH) return undefined;
  const [, version, traceId = "", spanId = "", flags = "", rest] = TRACEPARENT.exec(traceparent) ?? [];
  // Version 00 has no more parts; later ones may, and begin as it does.
  if (version === undefined || version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  const state = readList(tracestate, STATE_MEMBER, MAX_STATE_MEMBERS, MAX_STATE_LENGTH);
  return {
    traceId,
    spanId,
    flags: Number.parseInt(flags, 16) & KNOWN_FLAGS,
    ...(state === undefined ? {} : { tracestate: state }),
  };
}

function writeSpan({ traceId, spanId, flags, tracestate }: SpanRef): Record<string, string> {
  return {
    traceparent: `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, "0")}`,
    ...(tracestate === undefined ? {} : { tracestate }),
  };
}

/** A list of members with commas between them; one that is wrong makes the whole of no use. */
function readList(value: unknown, member: RegExp, maxMembers: number, maxLength: number): string | undefined {
  if (typeof value !== "string" || value.length > maxLength) return undefined;
  const members = value
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  if (members.length === 0 || members.length > maxMembers) return undefined;
  return members.every((part) => member.test(part)) ? members.join(",") : undefined;
}
