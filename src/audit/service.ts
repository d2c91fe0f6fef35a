import type { AuditCall, AuditFilter, AuditFormat, AuditPage, AuditVerification } from "../contract/audit.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { toKey } from "./entry.ts";
import { exportEntries } from "./export.ts";
import { AuditLog, type AuditLogOptions, type HeadStore } from "./log.ts";
import { maskValue } from "./mask.ts";
import { type Scan, scan } from "./read.ts";
import type { Retention } from "./retention.ts";
import { verify } from "./verify.ts";

/** What the owner of an installation has decided. */
export interface AuditSettings {
  /** Arguments of calls are recorded. */
  keepsArguments: boolean;
  /** What becomes of calls when they cannot be recorded: they are made (`continue`), or not (`refuse`). */
  whenFailing: "continue" | "refuse";
  /** How much of the log is kept; without it all is. */
  retention?: Retention;
}

export interface AuditServiceOptions
  extends Pick<AuditLogOptions, "maxSegmentBytes" | "writeMs" | "syncMs" | "now" | "open"> {
  folder: string;
  /** The key of the chain, from the vault; may throw VAULT_KEY_…. Asked for with the first entry. */
  key: () => Buffer;
  head: HeadStore;
  settings: () => AuditSettings;
  /** Puts something else in the place of secrets in a text. */
  mask: (text: string) => string;
  log: (message: string, fields: Record<string, unknown>) => void;
}

const MAX_WORD = 256;
/** As JSON, in UTF-16 units. */
const MAX_ARGUMENTS = 16 * 1024;
/** Calls that wait for the log to be opened. */
const MAX_EARLY = 1_000;
/** A log that could not be opened is tried again after so long, ms. */
const REOPEN_MS = 2_000;
/** What has become too old is looked for so often, ms, and whenever a file is begun. */
const THIN_MS = 3_600_000;

/** The audit log of one daemon: `record` is what everybody calls who has made a call. */
export class AuditService {
  readonly #options: AuditServiceOptions;
  readonly #listeners = new Set<() => void>();
  #log: AuditLog | undefined;
  #opening: Promise<AuditLog> | undefined;
  #failure: { error: Error; atMs: number } | undefined;
  #early: AuditCall[] = [];
  #thinTimer: NodeJS.Timeout | undefined;
  /** Files are removed, or read for what is missing: not both at a time. */
  #files: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(options: AuditServiceOptions) {
    this.#options = options;
  }

  /** Records a call that has ended. Takes no time and never throws: what the log cannot take is counted in it later. */
  record(call: AuditCall): void {
    if (this.#isClosed) return;
    const kept = this.#prepare(call);
    if (this.#log !== undefined) this.#log.append(kept);
    else {
      if (this.#early.length < MAX_EARLY) this.#early.push(kept);
      void this.#require().catch(() => {});
    }
  }

  /** Before a call: throws AUDIT_UNAVAILABLE when calls cannot be recorded, and the settings have them refused then. */
  requireWritable(): void {
    const failure = this.#log === undefined ? this.#failure?.error : this.#log.failure;
    if (failure === undefined || this.#settings().whenFailing !== "refuse") return;
    throw unavailable(failure, "and calls that are not recorded are refused here ([audit] when_failing)");
  }

  /** A page of the log. Throws AUDIT_UNAVAILABLE. */
  async page(
    filter: AuditFilter,
    options: { after?: number | undefined; limit: number; signal?: AbortSignal },
  ): Promise<AuditPage & Pick<Scan, "lastSeq">> {
    (await this.#require()).write();
    return scan(this.#options.folder, filter, options);
  }

  /** All of it that matches, as pieces of text. Throws AUDIT_UNAVAILABLE. */
  async *export(filter: AuditFilter, format: AuditFormat, signal?: AbortSignal): AsyncGenerator<string> {
    (await this.#require()).write();
    yield* exportEntries(this.#options.folder, filter, format, signal);
  }

  /** Throws AUDIT_UNAVAILABLE. */
  async verify(signal?: AbortSignal): Promise<AuditVerification> {
    const log = await this.#require();
    const { folder, key, head } = this.#options;
    return this.#withFiles(async () => {
      await log.flush();
      // In one turn of the loop: what is written from here on is not looked at.
      const [end, known] = [log.write(), head.get()];
      return verify(folder, { key: toKey(key()), head: known, end, ...(signal === undefined ? {} : { signal }) });
    });
  }

  /** Removes what is not to be kept any more. Never throws: what cannot be removed now is the next time. */
  async thin(): Promise<void> {
    const log = this.#log;
    if (log === undefined) return;
    try {
      const files = await this.#withFiles(() => log.thin());
      if (files > 0) this.#options.log("old entries of the audit log have been removed, as [audit] says", { files });
    } catch (error) {
      this.#options.log("old entries of the audit log could not be removed", { error: String(error) });
    }
  }

  #withFiles<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#files.then(work, work);
    this.#files = result.catch(() => {});
    return result;
  }

  /** Calls when there are more entries to read; returns what ends that. */
  onEntries(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#thinTimer);
    await this.#opening?.catch(() => {});
    await this.#files;
    await this.#log?.close();
  }

  #prepare(call: AuditCall): AuditCall {
    const { arguments: args, client, ...rest } = call;
    const kept = this.#settings().keepsArguments && args !== undefined ? { arguments: this.#maskArguments(args) } : {};
    return { ...(cutWords(rest) as typeof rest), client: cutWords(client) as typeof client, ...kept };
  }

  /** Masked before it is cut: half a secret would not be found. */
  #maskArguments(args: unknown): unknown {
    try {
      const masked = maskValue(args, this.#options.mask);
      const { length } = JSON.stringify(masked);
      return length <= MAX_ARGUMENTS ? masked : { tooLong: length };
    } catch (error) {
      this.#options.log("arguments of a call could not be masked, and are not recorded", { error: String(error) });
      return { notMasked: true };
    }
  }

  #settings(): AuditSettings {
    try {
      return this.#options.settings();
    } catch {
      // A configuration that cannot be read is told elsewhere; what asks for more care holds.
      return { keepsArguments: false, whenFailing: "refuse" };
    }
  }

  async #require(): Promise<AuditLog> {
    if (this.#log !== undefined) return this.#log;
    if (this.#failure !== undefined && Date.now() - this.#failure.atMs < REOPEN_MS)
      throw unavailable(this.#failure.error);
    this.#opening ??= this.#openLog().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #openLog(): Promise<AuditLog> {
    const { folder, key, head, maxSegmentBytes, writeMs, syncMs, now, open, log } = this.#options;
    const tell = (failure: Error | undefined) =>
      failure === undefined
        ? log("the audit log is written again", {})
        : log("the audit log cannot be written", { error: failure.message });
    try {
      const opened = await AuditLog.open({
        folder,
        key: toKey(key()),
        head,
        onState: tell,
        retention: () => this.#settings().retention ?? {},
        onRotated: () => void this.thin(),
        ...definedOf({ maxSegmentBytes, writeMs, syncMs, now, open }),
      });
      opened.onWritten(() => {
        for (const listener of this.#listeners) listener();
      });
      for (const call of this.#early.splice(0)) opened.append(call);
      this.#failure = undefined;
      this.#log = opened;
      this.#thinTimer ??= setInterval(() => void this.thin(), THIN_MS).unref();
      void this.thin();
      return opened;
    } catch (error) {
      if (this.#failure === undefined) tell(error as Error);
      this.#failure = { error: error as Error, atMs: Date.now() };
      throw unavailable(error as Error);
    }
  }
}

function unavailable(cause: Error, what = ""): FirebreakError {
  return new FirebreakError(
    "AUDIT_UNAVAILABLE",
    `the audit log cannot be used: ${cause.message}${what === "" ? "" : `, ${what}`}`,
    {
      cause,
      hint:
        cause instanceof FirebreakError && cause.hint !== undefined
          ? cause.hint
          : "Free some space on the host's disk, or look at the folder audit/ of the state directory.",
    },
  );
}

function cutWords(facts: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(facts).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([key, value]) => [key, typeof value === "string" ? value.slice(0, MAX_WORD).toWellFormed() : value]),
  );
}

function definedOf<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
