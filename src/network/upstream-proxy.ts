import { FirebreakError } from "../errors/firebreak-error.ts";
import { connect, type Dialled } from "./connect.ts";

/** The longest answer to a CONNECT that is looked at, bytes. */
const MAX_ANSWER_BYTES = 16 * 1024;
const ANSWER_DEADLINE_MS = 10_000;

export interface UpstreamProxy {
  host: string;
  port: number;
  /** `Basic …`, of a URL with a user in it. */
  authorization?: string;
}

/** The proxy that this host's environment names for a connection (HTTPS_PROXY, or HTTP_PROXY for port 80, unless NO_PROXY has the name). */
export function proxyFor(name: string, port: number, env: NodeJS.ProcessEnv): UpstreamProxy | undefined {
  const read = (variable: string) => env[variable.toLowerCase()] ?? env[variable];
  const text = (port === 80 ? read("HTTP_PROXY") : read("HTTPS_PROXY")) ?? read("ALL_PROXY");
  if (text === undefined || text === "" || isExempt(name, port, read("NO_PROXY"))) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" || url.hostname === "") return undefined;
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? 80 : Number(url.port),
    ...(url.username === "" ? {} : { authorization: `Basic ${Buffer.from(credentials).toString("base64")}` }),
  };
}

function isExempt(name: string, port: number, list: string | undefined): boolean {
  return (list ?? "").split(",").some((entry) => {
    const [, host, only] = /^\s*\*?\.?([^:\s]*)(?::(\d+))?\s*$/.exec(entry) ?? [];
    if (entry.trim() === "*") return true;
    if (host === undefined || host === "" || (only !== undefined && Number(only) !== port)) return false;
    return name === host.toLowerCase() || name.endsWith(`.${host.toLowerCase()}`);
  });
}

/** A connection to a name by way of a proxy. Throws CONNECTION_FAILED when the proxy does not make it. */
export async function openThroughProxy(
  proxy: UpstreamProxy,
  name: string,
  port: number,
  signal: AbortSignal,
): Promise<Dialled> {
  const socket = await connect(proxy.host, proxy.port, "the proxy of this host", signal);
  const authorization = proxy.authorization === undefined ? "" : `Proxy-Authorization: ${proxy.authorization}\r\n`;
  socket.write(`CONNECT ${name}:${port} HTTP/1.1\r\nHost: ${name}:${port}\r\n${authorization}\r\n`);
  let answer = Buffer.alloc(0);
  const failed = (why: string) =>
    new FirebreakError("CONNECTION_FAILED", `${name}:${port} cannot be reached by the proxy of this host: ${why}`);
  await new Promise<void>((resolve, reject) => {
    const finish = (error?: Error) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      socket.removeListener("readable", onReadable).removeListener("close", onClose).removeListener("end", onClose);
      if (error === undefined) return resolve();
      socket.destroy();
      reject(error);
    };
    const onAbort = () => finish(new FirebreakError("OPERATION_CANCELED", "the connection was given up"));
    const onClose = () => finish(failed("it closed the connection"));
    const onReadable = () => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
        answer = Buffer.concat([answer, chunk]);
        const end = answer.indexOf("\r\n\r\n");
        if (end < 0 && answer.length > MAX_ANSWER_BYTES) return finish(failed("its answer has no end"));
        if (end < 0) continue;
        const status = /^HTTP\/1\.[01] (\d{3})/.exec(answer.toString("latin1"))?.[1];
        if (status !== "200") return finish(failed(`it answers ${status ?? "with no HTTP"}`));
        const rest = answer.subarray(end + 4);
        finish();
        if (rest.length > 0) socket.unshift(rest);
        return;
      }
    };
    const timer = setTimeout(() => finish(failed("it does not answer")), ANSWER_DEADLINE_MS);
    socket.on("error", () => {});
    socket.on("readable", onReadable).once("close", onClose).once("end", onClose);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  return { socket, address: `${proxy.host}:${proxy.port}` };
}
