import { AsyncLocalStorage } from "node:async_hooks";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { SpanRef, TraceContext } from "./trace-context.ts";

/** How a request came over HTTP. */
export type Via = "tcp" | "unix";
export type SpanKind = "server" | "client" | "internal";
export type SpanAttributes = Record<string, string | number>;

export interface SpanStart {
  name: string;
  kind: SpanKind;
  attributes: SpanAttributes;
  parent: TraceContext | undefined;
  /** Another that it has something to do with, and is no part of. */
  link?: SpanRef | undefined;
}

/** How a span ended: attributes that are known by then; `error.type` among them makes it a failure. */
export type SpanOutcome = SpanAttributes;

export interface Span {
  /** What is passed on to whoever does a part of it. */
  readonly context: TraceContext | undefined;
  /** Once; what comes later is for nobody. */
  end(outcome?: SpanOutcome): void;
}

/** Records spans; `otlp.ts` makes one that exports them. */
export interface Tracer {
  start(span: SpanStart): Span;
}

interface Surroundings {
  /** The span that work is done for, or the one that a caller has told of. */
  context: TraceContext | undefined;
  via?: Via | undefined;
  /** Of what repeats something that was recorded before. */
  isSilent?: boolean;
}

/*
 * A trace runs through everything that is done for a request, and through nearly all folders of the source: what it is part of is kept by the runtime,
 * beside the calls, as OpenTelemetry's own API does it. Without a tracer, and for requests without a context, nothing is kept.
 */
const surroundings = new AsyncLocalStorage<Surroundings>();
let tracer: Tracer | undefined;

/** Undefined switches recording off, which is how a process begins. */
export function setTracer(next: Tracer | undefined): void {
  tracer = next;
}

export function isTracing(): boolean {
  return tracer !== undefined && surroundings.getStore()?.isSilent !== true;
}

/** What the present work is part of. */
export function currentContext(): TraceContext | undefined {
  return surroundings.getStore()?.context;
}

/** How the request came that the present work is for; undefined for what did not come over HTTP. */
export function currentVia(): Via | undefined {
  return surroundings.getStore()?.via;
}

/** Does the work of a request that has come over HTTP, as part of what its headers tell of. */
export function duringRequest<T>(context: TraceContext | undefined, via: Via, work: () => T): T {
  return context === undefined && tracer === undefined ? work() : surroundings.run({ context, via }, work);
}

/** Does work as part of `context`. */
export function within<T>(context: TraceContext | undefined, work: () => T): T {
  const around = surroundings.getStore();
  return context === around?.context ? work() : surroundings.run({ ...around, context }, work);
}

/** Does work of which no trace tells. */
export function silently<T>(work: () => T): T {
  return surroundings.run({ context: undefined, isSilent: true }, work);
}

/** Does work that is part of nothing that is under way, however it came to be done now. */
export function apart<T>(work: () => T): T {
  return surroundings.getStore() === undefined ? work() : surroundings.exit(work);
}

/** A span that is recorded if anything is; otherwise it passes its parent on. */
export function startSpan(span: SpanStart): Span {
  if (tracer === undefined || !isTracing()) return { context: span.parent, end: () => {} };
  return tracer.start(span);
}

/** Does work as a span of its own, as part of what is recorded. What is thrown is its end. */
export async function asSpan<T>(name: string, attributes: SpanAttributes, work: () => Promise<T>): Promise<T> {
  return currentContext()?.span === undefined ? work() : asTrace(name, attributes, work);
}

/** The same for what is worth a trace of its own where it is part of none. */
export async function asTrace<T>(name: string, attributes: SpanAttributes, work: () => Promise<T>): Promise<T> {
  const parent = currentContext();
  if (!isTracing()) return work();
  const span = startSpan({ name, kind: "internal", attributes, parent });
  try {
    const result = await within(span.context, work);
    span.end();
    return result;
  } catch (thrown) {
    span.end(outcomeOfThrown(thrown));
    throw thrown;
  }
}

/** Only the code: messages may quote what a caller has sent. */
export function outcomeOfThrown(thrown: unknown): SpanOutcome {
  return { "error.type": thrown instanceof FirebreakError ? thrown.code : toFirebreakError(thrown).code };
}
