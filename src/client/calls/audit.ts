import type { Readable } from "node:stream";
import type {
  AuditEntry,
  AuditFilter,
  AuditFormat,
  AuditPage,
  AuditReport,
  AuditVerification,
} from "../../contract/audit.ts";
import { type CallOptions, type DaemonHttp, signalOf } from "../daemon-http.ts";

/** The log of calls. Each throws AUDIT_UNAVAILABLE when there is none to be had. */
export class AuditCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  /** A page; the newest unless `after` is given. */
  list(
    filter: AuditFilter & { after?: number | undefined; limit?: number | undefined } = {},
    options: CallOptions = {},
  ): Promise<AuditPage> {
    return this.#http.json("GET", "/v1/audit", options, undefined, { ...filter });
  }

  /** Each entry as it comes, with those after `after` first. */
  async *follow(
    filter: AuditFilter & { after?: number | undefined },
    options: CallOptions = {},
  ): AsyncGenerator<AuditEntry> {
    const lines = this.#http.follow<{ entry: AuditEntry }>("/v1/audit", { ...filter, follow: true }, options);
    for await (const { entry } of lines) yield entry;
  }

  /** All that match, as text. */
  export(filter: AuditFilter, format: AuditFormat, options: CallOptions = {}): Promise<Readable> {
    return this.#http.raw("GET", "/v1/audit/export", { query: { ...filter, format }, ...signalOf(options) });
  }

  verify(options: CallOptions = {}): Promise<AuditVerification> {
    return this.#http.json("POST", "/v1/audit/verify", options);
  }

  /** Records a call of firebreak's own tools. */
  report(report: AuditReport, options: CallOptions = {}): Promise<void> {
    return this.#http.json("POST", "/v1/audit", options, report);
  }
}
