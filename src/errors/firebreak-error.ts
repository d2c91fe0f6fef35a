import { ERROR_CLASSES, ERROR_CODES, type ErrorClass, type ErrorCode } from "./catalogue.ts";

/** The form an error takes on the wire (HTTP bodies, `--json`, MCP structured content). */
export interface ErrorBody {
  code: ErrorCode;
  class: ErrorClass;
  message: string;
  hint?: string;
  details?: Record<string, unknown>;
}

export interface FirebreakErrorOptions {
  /** The next step for whoever reads the error. */
  hint?: string;
  /** Machine-readable facts; never a secret. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

/** The root of all errors that firebreak throws on purpose. */
export class FirebreakError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, message: string, options: FirebreakErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "FirebreakError";
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
  }

  get class(): ErrorClass {
    return ERROR_CODES[this.code].class;
  }

  get httpStatus(): number {
    return ERROR_CLASSES[this.class].http;
  }

  /** CLI exit code, by the error's class unless its code sets its own. */
  get exitCode(): number {
    const entry: { class: ErrorClass; exit?: number } = ERROR_CODES[this.code];
    return entry.exit ?? ERROR_CLASSES[entry.class].exit;
  }

  toBody(): ErrorBody {
    const body: ErrorBody = { code: this.code, class: this.class, message: this.message };
    if (this.hint !== undefined) body.hint = this.hint;
    if (this.details !== undefined) body.details = this.details;
    return body;
  }

  /** The error that a body from the daemon describes; an unknown code (a newer daemon) becomes INTERNAL. */
  static fromBody(body: { code: string; message: string; hint?: string; details?: Record<string, unknown> }) {
    const known = Object.hasOwn(ERROR_CODES, body.code);
    const code = known ? (body.code as ErrorCode) : "INTERNAL";
    const message = known ? body.message : `${body.code}: ${body.message}`;
    return new FirebreakError(code, message, { hint: body.hint, details: body.details } as FirebreakErrorOptions);
  }
}

/** SQLITE_FULL of sqlite3.h; node:sqlite reports it as `errcode`. */
const SQLITE_FULL = 13;

function isDiskFull(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOSPC" || (error as { errcode?: number }).errcode === SQLITE_FULL;
}

/** No space was left for a file or a row, however that was said. */
export function isHostDiskFull(thrown: unknown): boolean {
  return toFirebreakError(thrown).code === "HOST_DISK_FULL";
}

/** Any thrown value as a FirebreakError: ours as it is, an abort as OPERATION_CANCELED, the rest as INTERNAL. */
export function toFirebreakError(thrown: unknown): FirebreakError {
  if (thrown instanceof FirebreakError) return thrown;
  if (thrown instanceof Error) {
    if (thrown.name === "AbortError") {
      return new FirebreakError("OPERATION_CANCELED", "the operation was cancelled", { cause: thrown });
    }
    if (isDiskFull(thrown)) {
      return new FirebreakError("HOST_DISK_FULL", "no space is left on the host's disk", {
        cause: thrown,
        hint: "Free some space, or delete VMs with 'firebreak vm delete NAME'.",
      });
    }
    return new FirebreakError("INTERNAL", thrown.message, { cause: thrown });
  }
  return new FirebreakError("INTERNAL", String(thrown));
}
