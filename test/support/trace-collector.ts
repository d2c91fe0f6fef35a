import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { waitFor } from "./wait-for.ts";

/** A span as it has come, with its attributes as an object. */
export interface CollectedSpan {
  traceId: string;
  spanId: string;
  /** Empty for the first of a trace. */
  parentSpanId: string;
  name: string;
  kind: "internal" | "server" | "client";
  attributes: Record<string, string | number>;
  isError: boolean;
  /** The spans that it has something to do with besides. */
  links: string[];
  resource: Record<string, string | number>;
}

export interface TraceCollector {
  /** What `[telemetry] traces` is to be. */
  url: string;
  spans: CollectedSpan[];
  /** All that has come, as it came. */
  bodies: string[];
  /** The first span that is so; waits for it. */
  find: (isIt: (span: CollectedSpan) => boolean) => Promise<CollectedSpan>;
  /** Of one trace, in the order in which they have ended. */
  ofTrace: (traceId: string) => CollectedSpan[];
  /** What each request is answered with from now on; 0 leaves them without an answer. */
  answerWith: (status: number) => void;
  close: () => Promise<void>;
}

interface KeyValue {
  key: string;
  value: { stringValue?: string; intValue?: number | string; doubleValue?: number };
}

interface Body {
  resourceSpans: {
    resource: { attributes: KeyValue[] };
    scopeSpans: { spans: RawSpan[] }[];
  }[];
}

interface RawSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  attributes: KeyValue[];
  status: { code: number };
  links?: { spanId: string }[];
}

const KINDS: Record<number, CollectedSpan["kind"]> = { 1: "internal", 2: "server", 3: "client" };
const ERROR = 2;

/** Takes traces as OTLP over HTTP in JSON, on a port of loopback. */
export async function startTraceCollector(): Promise<TraceCollector> {
  const spans: CollectedSpan[] = [];
  const bodies: string[] = [];
  let status = 200;
  const server = http.createServer((incoming, outgoing) => {
    void text(incoming).then((body) => {
      bodies.push(body);
      if (status === 0) return;
      if (status === 200) spans.push(...read(JSON.parse(body) as Body));
      outgoing.writeHead(status, { "content-type": "application/json" }).end("{}");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1/traces`,
    spans,
    bodies,
    find: async (isIt) => {
      await waitFor(() => spans.some(isIt));
      return spans.find(isIt) as CollectedSpan;
    },
    ofTrace: (traceId) => spans.filter((span) => span.traceId === traceId),
    answerWith: (next) => {
      status = next;
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function read({ resourceSpans }: Body): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map(({ traceId, spanId, parentSpanId = "", name, kind, attributes, status, links = [] }) => ({
        traceId,
        spanId,
        parentSpanId,
        name,
        kind: KINDS[kind] as CollectedSpan["kind"],
        attributes: toObject(attributes),
        isError: status.code === ERROR,
        links: links.map((link) => link.spanId),
        resource: toObject(resource.attributes),
      })),
    ),
  );
}

function toObject(pairs: KeyValue[]): Record<string, string | number> {
  return Object.fromEntries(
    pairs.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue ?? value.doubleValue)]),
  );
}
