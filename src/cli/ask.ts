import { createInterface } from "node:readline/promises";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** Asks whoever sits at the terminal; all but yes is no. Throws INVALID_ARGUMENT when nobody does; `hint` says how to do without. */
export async function askYes(question: string, hint: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw new FirebreakError("INVALID_ARGUMENT", "nobody is there to be asked", { hint });
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(`${question} [y/N] `);
  prompt.close();
  return /^y(es)?$/i.test(answer.trim());
}
