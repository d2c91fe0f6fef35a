/** Where the environment wants traces to go, as OpenTelemetry's SDKs read it; undefined for nowhere. */
export function tracesUrlOf(env: NodeJS.ProcessEnv): string | undefined {
  if (isOff(env)) return undefined;
  const own = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT?.trim();
  if (own) return urlOf(own);
  const base = env.OTEL_EXPORTER_OTLP_ENDPOINT?.trim();
  return base ? urlOf(`${base.replace(/\/$/, "")}/v1/traces`) : undefined;
}

/** Whether the environment wants nothing to be recorded, whatever else is configured. */
export function isOff(env: NodeJS.ProcessEnv): boolean {
  return env.OTEL_SDK_DISABLED?.trim().toLowerCase() === "true" || env.OTEL_TRACES_EXPORTER?.trim() === "none";
}

function urlOf(text: string): string | undefined {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) ? text : undefined;
}
