import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { Challenge } from "./challenge.ts";

/** How somebody logs in. */
export const loginCommand = (server: string) => `firebreak server login ${server}`;

/** Nobody has logged in, or the login holds no more. */
export function loginRequired(server: string, why: string): FirebreakError {
  return new FirebreakError("SERVER_LOGIN_REQUIRED", `the server '${server}' needs a login: ${why}`, {
    hint: `Log in: ${loginCommand(server)}`,
    details: { server },
  });
}

export function loginFailed(server: string, why: string, more: { hint?: string; cause?: unknown } = {}) {
  return new FirebreakError("SERVER_LOGIN_FAILED", `the login at the server '${server}' failed: ${why}`, {
    ...more,
    details: { server },
  });
}

/** The login is good, and not for that. */
export function scopeMissing(server: string, { scope }: Challenge, configured: readonly string[] | undefined) {
  const what = scope === undefined ? "scopes that it does not name" : `the scopes '${scope}'`;
  return new FirebreakError("SERVER_SCOPE_MISSING", `the server '${server}' wants ${what}, which its login has not`, {
    hint:
      configured === undefined
        ? `Log in again, which asks for them too: ${loginCommand(server)}`
        : `Add them to the scopes of its oauth, and log in again: ${loginCommand(server)}`,
    details: { server, ...(scope === undefined ? {} : { scope }) },
  });
}

/** What others say, fit to be shown: one line, without control characters. */
export function quote(text: string, length = 300): string {
  return text
    .replaceAll(/[^\x20-\x7e\u00a1-\ud7ff]+/g, " ")
    .trim()
    .slice(0, length);
}
