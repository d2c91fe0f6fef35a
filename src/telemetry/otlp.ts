import {
  type Attributes,
  createTraceState,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { SpanRef, TraceContext } from "./trace-context.ts";
import type { Span, SpanOutcome, SpanStart, Tracer } from "./tracing.ts";

/** Spans that wait to be exported; more are dropped. */
const MAX_QUEUED = 2_048;
const BATCH_SPANS = 512;
const DELAY_MS = 1_000;
const EXPORT_TIMEOUT_MS = 10_000;
/** Of an attribute's value, characters. */
const MAX_VALUE_LENGTH = 256;
const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL };

export interface OtlpOptions {
  /** Where spans go, as OTLP over HTTP in JSON. Headers and certificates come from the environment (OTEL_EXPORTER_OTLP_…). */
  url: string;
  /** The part of traces begun here that is recorded; others are as their callers want them. */
  sample: number;
  version: string;
  log: (message: string, fields: Record<string, unknown>) => void;
}

export interface OtlpTracer extends Tracer {
  /** Exports what waits. Never throws. */
  close(): Promise<void>;
}

/** A tracer that exports in the background: nobody waits for it, and what cannot be exported is lost. */
export function createOtlpTracer({ url, sample, version, log }: OtlpOptions): OtlpTracer {
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: EXPORT_TIMEOUT_MS, concurrencyLimit: 2 });
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ "service.name": "firebreak", "service.version": version }))
      .merge(detectResources({ detectors: [envDetector] })),
    sampler: new ParentBasedSampler({
      root: sample >= 1 ? new AlwaysOnSampler() : new TraceIdRatioBasedSampler(sample),
    }),
    spanLimits: { attributeValueLengthLimit: MAX_VALUE_LENGTH },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: tellingOnce(exporter, new URL(url).origin, log),
        maxQueueSize: MAX_QUEUED,
        maxExportBatchSize: BATCH_SPANS,
        scheduledDelayMillis: DELAY_MS,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
      }),
    ],
  });
  const tracer = provider.getTracer("firebreak", version);
  return {
    start: ({ name, kind, attributes, parent, link }: SpanStart): Span => {
      const around =
        parent?.span === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, toOtel(parent.span));
      const links = link === undefined ? [] : [{ context: toOtel(link) }];
      return toSpan(tracer.startSpan(name, { kind: KINDS[kind], attributes, links }, around), parent);
    },
    close: () => provider.shutdown().catch(() => {}),
  };
}

function toSpan(span: OtelSpan, parent: TraceContext | undefined): Span {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const tracestate = traceState?.serialize();
  return {
    context: {
      ...parent,
      span: { traceId, spanId, flags: traceFlags, ...(tracestate ? { tracestate } : {}) },
    },
    end: (outcome: SpanOutcome = {}) => {
      span.setAttributes(outcome as Attributes);
      if (outcome["error.type"] !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}

function toOtel({ traceId, spanId, flags, tracestate }: SpanRef): SpanContext {
  return {
    traceId,
    spanId,
    traceFlags: flags,
    isRemote: true,
    ...(tracestate === undefined ? {} : { traceState: createTraceState(tracestate) }),
  };
}

/** Says that spans are lost when that begins, and when it ends. */
function tellingOnce(exporter: SpanExporter, to: string, log: OtlpOptions["log"]): SpanExporter {
  let isFailing = false;
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const hasFailed = result.code !== 0;
        if (hasFailed && !isFailing)
          log("traces cannot be exported, and are lost until they can be", {
            to,
            error: result.error?.message.slice(0, 200) ?? "unknown",
          });
        else if (!hasFailed && isFailing) log("traces are exported again", { to });
        isFailing = hasFailed;
        done(result);
      }),
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
}
