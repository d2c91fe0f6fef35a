import http2, { type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { duplexPair } from "node:stream";
import type { TLSSocket } from "node:tls";
import { openSession } from "../../platform/http2-session.ts";
import type { Header } from "./aws-sigv4.ts";
import { Exchange, HOP_HEADERS, type OpenedFlow } from "./exchange.ts";

const SETTINGS = {
  initialWindowSize: 256 * 1024,
  maxHeaderListSize: 64 * 1024,
  maxConcurrentStreams: 256,
  enablePush: false,
};

/** Serves the guest's end of a flow that speaks HTTP/2, over the connection to the host that does. */
export function serveHttp2(guest: TLSSocket, upstream: TLSSocket, flow: OpenedFlow): void {
  // A session takes a TLS socket's descriptor, and this one has none: it is over a stream of another session.
  const [near, far] = duplexPair();
  guest.pipe(far).pipe(guest);
  guest.once("close", () => near.destroy());
  near.once("close", () => guest.destroy());
  const server = openSession(near, () => http2.performServerHandshake(near, { settings: SETTINGS }));
  const client = openSession(upstream, () =>
    http2.connect(`https://${flow.name}:${flow.port}`, {
      createConnection: () => upstream,
      settings: { enablePush: false, initialWindowSize: SETTINGS.initialWindowSize },
    }),
  );
  for (const session of [server, client]) session.on("error", () => {});
  server.once("close", () => client.close());
  client.once("close", () => server.close());
  client.on("goaway", () => server.close());
  server.on("stream", (stream, headers, _flags, raw) => void answer(stream, { headers, raw }, client, flow));
}

async function answer(
  stream: ServerHttp2Stream,
  { headers, raw }: { headers: IncomingHttpHeaders; raw: readonly string[] },
  client: http2.ClientHttp2Session,
  flow: OpenedFlow,
): Promise<void> {
  stream.on("error", () => {});
  const exchange = new Exchange(flow);
  const [method, path, authority] = [String(headers[":method"]), String(headers[":path"] ?? ""), headers[":authority"]];
  const refusal = exchange.refuse(method, path, authority ?? headers.host);
  if (refusal !== undefined) return say(stream, refusal.status, refusal.why);
  try {
    const { refusal: later, body } = await exchange.take(
      { method, target: path, headers: withHost(headers, rawPairs(raw)) },
      () => stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>,
      { type: headers["content-type"] ?? "", length: Number(headers["content-length"] ?? "0") },
    );
    if (later !== undefined) return say(stream, later.status, later.why);
    if (client.destroyed || stream.destroyed) return say(stream, 502, `${flow.name} has closed the connection`);
    const isEmpty = body === undefined && stream.readableEnded;
    const upstream = client.request(forward(headers, path, exchange, body), { endStream: isEmpty });
    upstream.on("error", () => {});
    stream.once("close", () => upstream.close(stream.rstCode));
    upstream.once("close", () => {
      if (!stream.closed) stream.close(upstream.rstCode === 0 ? http2.constants.NGHTTP2_NO_ERROR : upstream.rstCode);
    });
    upstream.once("response", (received) => pass(upstream, received, stream, exchange));
    if (body !== undefined) upstream.end(body);
    else if (!isEmpty)
      exchange.passBody(stream, upstream, ({ status, why }) => {
        // Its end must not be the answer's.
        upstream.removeAllListeners("close").close(http2.constants.NGHTTP2_CANCEL);
        say(stream, status, why);
      });
  } catch (error) {
    say(stream, 502, (error as Error).message);
  }
}

function forward(
  headers: IncomingHttpHeaders,
  path: string,
  exchange: Exchange,
  body: Buffer | undefined,
): OutgoingHttpHeaders {
  const sent: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    // One that was not looked at must not stand beside the one that was.
    if (value === undefined || HOP_HEADERS.has(name) || (name === "host" && headers[":authority"] !== undefined))
      continue;
    const change = (text: string) => (name.startsWith(":") ? text : exchange.header(name, text));
    sent[name] = Array.isArray(value) ? value.map(change) : change(value);
  }
  sent[":path"] = exchange.path(path);
  exchange.noteMisplaced();
  if (exchange.substitution.used.size > 0) sent["accept-encoding"] = "identity";
  if (body !== undefined) sent["content-length"] = String(body.length);
  const pairs = Object.entries(sent).flatMap(([name, value]): Header[] =>
    Array.isArray(value) ? value.map((each) => [name, each]) : [[name, String(value)]],
  );
  const message = { method: String(sent[":method"]), target: String(sent[":path"]), headers: withHost(sent, pairs) };
  const { target, set } = exchange.sign(message, body);
  for (const [name, value] of set) sent[name] = value;
  sent[":path"] = target;
  return sent;
}

function rawPairs(raw: readonly string[]): Header[] {
  return Array.from({ length: raw.length / 2 }, (_, index) => [raw[2 * index] as string, raw[2 * index + 1] as string]);
}

/** Headers as they would be in HTTP/1.1, which is what signatures are of. */
function withHost(headers: IncomingHttpHeaders | OutgoingHttpHeaders, pairs: readonly Header[]): Header[] {
  const authority = headers[":authority"];
  const others = pairs.filter(([name]) => !name.startsWith(":") && (name !== "host" || authority === undefined));
  return authority === undefined ? others : [["host", String(authority)], ...others];
}

function pass(
  upstream: http2.ClientHttp2Stream,
  received: IncomingHttpHeaders,
  stream: ServerHttp2Stream,
  exchange: Exchange,
): void {
  if (stream.destroyed) return;
  const scrubber = exchange.scrubber();
  const scrub = (given: IncomingHttpHeaders): OutgoingHttpHeaders =>
    Object.fromEntries(
      Object.entries(given).map(([name, value]) => {
        const clean = (text: string) => {
          const fresh = exchange.scrubber();
          return Buffer.concat([fresh.push(Buffer.from(text, "latin1")), fresh.end()]).toString("latin1");
        };
        return [name, typeof value === "string" ? clean(value) : Array.isArray(value) ? value.map(clean) : value];
      }),
    );
  let trailers: OutgoingHttpHeaders = {};
  upstream.on("trailers", (given) => {
    trailers = scrub(given);
  });
  stream.respond(scrub(received), { waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers(trailers));
  upstream.on("data", (chunk: Buffer) => {
    const ready = scrubber.push(chunk);
    if (ready.length > 0 && !stream.write(ready)) {
      upstream.pause();
      stream.once("drain", () => upstream.resume());
    }
  });
  upstream.once("end", () => stream.end(scrubber.end()));
}

function say(stream: ServerHttp2Stream, status: number, why: string): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ ":status": status, "content-type": "text/plain; charset=utf-8" });
  stream.end(`firebreak: ${why}\n`);
}
