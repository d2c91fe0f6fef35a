import { FirebreakError } from "../../src/errors/firebreak-error.ts";

/** For `assert.rejects` and `assert.throws`: a firebreak error with one of these codes. */
export const hasCode =
  (...codes: string[]) =>
  (error: unknown): boolean =>
    error instanceof FirebreakError && codes.includes(error.code);
