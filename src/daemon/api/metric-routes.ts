import type { Api } from "./context.ts";

export interface MetricDeps {
  metrics: { render: () => string };
}

/** Where Prometheus looks by itself; over TCP it needs an API key like everything else. */
export function addMetricRoutes(api: Api, { metrics }: MetricDeps): void {
  api.get("/metrics", (context) =>
    context.body(metrics.render(), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
  );
}
