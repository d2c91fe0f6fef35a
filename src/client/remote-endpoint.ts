import http, { type ClientRequest } from "node:http";
import https from "node:https";
import { API_VERSION } from "../contract/api-version.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { type Endpoint, type RequestHead, SAME_IN_ALL_VERSIONS } from "./endpoint.ts";

/** A host that is off, or behind a wall, answers nothing at all: this long is waited for a connection, ms. */
const CONNECT_DEADLINE_MS = 10_000;

/** What OpenSSL and Node say of certificates that are not to be trusted. */
const CERTIFICATE_FAULT = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ALTNAME/;

/** A daemon that is reached over TCP, with an API key. */
export class RemoteEndpoint implements Endpoint {
  readonly #url: URL;
  readonly #key: string;

  /** Throws INVALID_ARGUMENT on what is no URL of a daemon, or no key. */
  constructor(url: string, key: string) {
    this.#url = parseUrl(url);
    // A header cannot hold anything else, and Node's own complaint would show the key.
    if (!/^[\x21-\x7e]+$/.test(key))
      throw new FirebreakError("INVALID_ARGUMENT", "FIREBREAK_API_KEY is not an API key");
    this.#key = key;
  }

  open({ path, headers, ...rest }: RequestHead): ClientRequest {
    const { hostname, port, protocol, pathname } = this.#url;
    const request = (protocol === "https:" ? https : http).request({
      // The brackets of an IPv6 address are the URL's, not the address's.
      host: hostname.replace(/^\[(.*)\]$/, "$1"),
      ...(port === "" ? {} : { port }),
      path: pathname.replace(/\/$/, "") + path,
      headers: { ...headers, authorization: `Bearer ${this.#key}` },
      agent: false,
      ...rest,
    });
    const timer = setTimeout(
      () => request.destroy(Object.assign(new Error("no connection in time"), { code: "ETIMEDOUT" })),
      CONNECT_DEADLINE_MS,
    );
    const clear = () => clearTimeout(timer);
    request.once("socket", (socket) => socket.once(protocol === "https:" ? "secureConnect" : "connect", clear));
    request.once("close", clear);
    return request;
  }

  explainFailure(error: NodeJS.ErrnoException): FirebreakError | undefined {
    const code = error.code ?? "";
    if (CERTIFICATE_FAULT.test(code)) {
      return this.#unavailable(`the certificate of ${this.#url.origin} is not trusted (${code})`, error, {
        hint: "Name the authority that signed it: NODE_EXTRA_CA_CERTS=FILE",
      });
    }
    if (/^(EPROTO|ERR_SSL|HPE_)/.test(code)) {
      return this.#unavailable(
        `what answers at ${this.#url.origin} does not speak ${this.#url.protocol.slice(0, -1)}`,
        error,
        {
          hint: "Look at FIREBREAK_URL: http or https, and the port.",
        },
      );
    }
    if (!UNREACHABLE.has(code)) return undefined;
    return this.#unavailable(`no daemon is reached at ${this.#url.origin} (${code})`, error, {
      hint: "Look at FIREBREAK_URL, and on that host: firebreak daemon status",
    });
  }

  explainVersion(path: string, version: unknown): FirebreakError | undefined {
    if (version === undefined) {
      return this.#unavailable(`what answers at ${this.#url.origin} is no firebreak daemon`, undefined, {
        hint: "Look at FIREBREAK_URL.",
      });
    }
    if (version === String(API_VERSION) || SAME_IN_ALL_VERSIONS.has(path)) return undefined;
    return this.#unavailable(
      `the daemon at ${this.#url.origin} speaks API ${version}, this program ${API_VERSION}`,
      undefined,
      { hint: "Use the same version of firebreak on both hosts." },
    );
  }

  #unavailable(message: string, cause: unknown, options: { hint: string }): FirebreakError {
    return new FirebreakError("DAEMON_UNAVAILABLE", message, { cause, ...options });
  }
}

const UNREACHABLE: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "EADDRNOTAVAIL",
  "ETIMEDOUT",
]);

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  const isPlain = url !== null && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (!isPlain || !["http:", "https:"].includes(url.protocol)) {
    throw new FirebreakError("INVALID_ARGUMENT", "FIREBREAK_URL is not the URL of a daemon", {
      hint: "Such as http://127.0.0.1:9600 or https://vms.example.com; the key is in FIREBREAK_API_KEY.",
    });
  }
  return url;
}
