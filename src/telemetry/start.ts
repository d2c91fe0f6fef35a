import { setTimeout as sleep } from "node:timers/promises";
import { setTracer } from "./tracing.ts";

/** How long what waits to be exported may take when a process ends, ms. */
const FLUSH_MS = 1_000;

export interface TelemetrySettings {
  /** Where traces go, if anywhere. */
  url: string | undefined;
  /** The part of traces begun here that is recorded, 0 to 1. */
  sample: number;
}

/**
 * Records traces from now on, if that is wanted: a process that exports nothing does without the code for it, and its memory. Returns how to end: that
 * exports what waits, for a second at most.
 */
export async function startTelemetry(
  { url, sample }: TelemetrySettings,
  version: string,
  log: (message: string, fields: Record<string, unknown>) => void,
): Promise<() => Promise<void>> {
  if (url === undefined) return async () => {};
  const { createOtlpTracer } = await import("./otlp.ts");
  const tracer = createOtlpTracer({ url, sample, version, log });
  setTracer(tracer);
  return async () => {
    setTracer(undefined);
    await Promise.race([tracer.close(), sleep(FLUSH_MS, undefined, { ref: false })]);
  };
}
