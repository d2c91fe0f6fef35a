import { findNodeAtLocation, type Node, type ParseError, parseTree } from "jsonc-parser";
import { type EgressPolicyInput, egressPolicySchema } from "../contract/policy.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** A policy as a file says it, and where: what is wrong with it is told by line and column. */
export class PolicyFile {
  readonly #file: string;
  readonly #text: string;
  readonly #root: Node | undefined;
  readonly policy: EgressPolicyInput;

  /** Throws INVALID_ARGUMENT with the place of what is not JSON, or no policy. */
  constructor(text: string, file: string) {
    this.#file = file === "-" ? "stdin" : file;
    this.#text = text;
    const errors: ParseError[] = [];
    this.#root = parseTree(text, errors, { disallowComments: true });
    const [first] = errors;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new FirebreakError(
        "INVALID_ARGUMENT",
        `${this.#at(first?.offset ?? 0)}: it is not JSON: ${(error as Error).message}`,
      );
    }
    const parsed = egressPolicySchema.safeParse(value);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const keys = issue?.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [];
      const path = [...(issue?.path ?? []), ...keys].map((key) => (typeof key === "number" ? key : String(key)));
      throw new FirebreakError(
        "INVALID_ARGUMENT",
        `${this.#placeOf(path)}: ${issue?.path.join(".")}: ${issue?.message}`,
      );
    }
    this.policy = parsed.data;
  }

  /** An error of a policy with the places of what it names (`allow[2]`, `hosts.NAME`); any other as it is. */
  explain(error: unknown): unknown {
    if (!(error instanceof FirebreakError) || error.code !== "POLICY_INVALID") return error;
    const problems = (error.details?.problems ?? []) as { field: string; message: string }[];
    if (problems.length === 0) return error;
    const lines = problems.map(({ field, message }) => `${this.#placeOf(pathOf(field))}: ${field}: ${message}`);
    return new FirebreakError(error.code, lines.join("; "), {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      details: { ...error.details, file: this.#file },
      cause: error,
    });
  }

  /** Of the innermost of what is named that there is: a rule that was added to the policy is in no file. */
  #placeOf(path: readonly (string | number)[]): string {
    for (let length = path.length; this.#root !== undefined && length > 0; length--) {
      const node = findNodeAtLocation(this.#root, path.slice(0, length));
      if (node === undefined) continue;
      // A member begins with its name.
      return this.#at(node.parent?.type === "property" ? node.parent.offset : node.offset);
    }
    return this.#at(this.#root?.offset ?? 0);
  }

  #at(offset: number): string {
    const before = this.#text.slice(0, offset).split("\n");
    return `${this.#file}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
  }
}

function pathOf(field: string): (string | number)[] {
  const [, list, index] = /^(allow|deny)\[(\d+)\]/.exec(field) ?? [];
  if (list !== undefined) return [list, Number(index)];
  return field.startsWith("hosts.") ? ["hosts", field.slice(6)] : [field];
}
