import type { ErrorCode } from "../errors/catalogue.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { stripControl } from "../platform/terminal-text.ts";

const CODES: Record<string, ErrorCode> = {
  INVALID_ARGUMENT: "INVALID_ARGUMENT",
  NOT_FOUND: "FILE_NOT_FOUND",
  ALREADY_EXISTS: "FILE_ALREADY_EXISTS",
  NOT_A_DIRECTORY: "FILE_NOT_A_DIRECTORY",
  IS_A_DIRECTORY: "FILE_IS_A_DIRECTORY",
  NOT_EMPTY: "DIRECTORY_NOT_EMPTY",
  PERMISSION_DENIED: "FILE_PERMISSION_DENIED",
  TOO_LARGE: "FILE_TOO_LARGE",
  NO_SPACE: "GUEST_DISK_FULL",
  LIMIT: "EXEC_LIMIT",
  CONFLICT: "EXEC_STATE_CONFLICT",
  COMMAND_NOT_FOUND: "COMMAND_NOT_FOUND",
  COMMAND_NOT_EXECUTABLE: "COMMAND_NOT_EXECUTABLE",
  USER_NOT_FOUND: "USER_NOT_FOUND",
  REFUSED: "CONNECTION_REFUSED",
  UNREACHABLE: "CONNECTION_FAILED",
};

/** Codes mean something else by what the request is about; a start of a command may still miss its working directory. */
function findCodeByRequest(code: string, requestPath: string): ErrorCode | undefined {
  if (code === "ALREADY_EXISTS" && requestPath.startsWith("/v1/exec")) return "EXEC_ALREADY_EXISTS";
  if (code === "NOT_FOUND" && requestPath.startsWith("/v1/execs")) return "EXEC_NOT_FOUND";
  if (code === "LIMIT" && requestPath.startsWith("/v1/connect")) return "CONNECTION_LIMIT";
  // A port is never "not found": the request itself is what an agent from before it does not know.
  if (code === "NOT_FOUND" && requestPath.startsWith("/v1/connect?port=")) return "GUEST_FEATURE_MISSING";
  if (requestPath.startsWith("/v1/drives")) {
    if (code === "CONFLICT") return "DRIVE_BUSY";
    if (code !== "NO_SPACE" && code !== "LIMIT") return "DRIVE_MOUNT_FAILED";
  }
  if (requestPath.startsWith("/v1/mounts")) {
    if (code === "CONFLICT") return "MOUNT_BUSY";
    if (code === "NOT_FOUND" && requestPath.startsWith("/v1/mounts?")) return "GUEST_FEATURE_MISSING";
    return "MOUNT_FAILED";
  }
  // The drive did not get the size that the host announced.
  if (code === "CONFLICT" && requestPath.startsWith("/v1/personalise")) return "GUEST_AGENT_FAILED";
  return undefined;
}

const HINTS: Partial<Record<ErrorCode, string>> = {
  GUEST_DISK_FULL: "Delete something in the VM, or create it with a larger --disk.",
  DIRECTORY_NOT_EMPTY: "Delete it with its content: recursive.",
  CONNECTION_REFUSED: "Start what is to listen in the VM; it has to listen on 127.0.0.1, ::1 or all addresses.",
  GUEST_FEATURE_MISSING:
    "The VM comes from an old snapshot: stop it and start it, and it boots with the agent of today.",
  EXEC_NOT_FOUND: "List them: firebreak vm execs VM",
  EXEC_LIMIT: "Wait for a command to end, or kill one.",
};

/** Translates the guest agent's error once, at this adapter. The message is the guest's: control characters are taken out. */
export function translateGuestError(code: string, message: string, requestPath: string): FirebreakError {
  const ours =
    findCodeByRequest(code, requestPath) ??
    (Object.hasOwn(CODES, code) ? CODES[code] : undefined) ??
    "GUEST_AGENT_FAILED";
  const hint = HINTS[ours];
  return new FirebreakError(ours, stripControl(message), hint === undefined ? {} : { hint });
}
