import type { Finding } from "../../contract/scan.ts";
import { quoteBriefly } from "../../platform/hidden-text.ts";
import { type Definition, isDefinition, keyOf, LISTS, MAX_DEFINITIONS, type ServerDefinitions } from "./definitions.ts";
import { toPlain } from "./plain-text.ts";
import type { Rule, SetRule, Subject } from "./rule.ts";
import { annotations } from "./rules/annotations.ts";
import { duplicates } from "./rules/duplicates.ts";
import { encoded } from "./rules/encoded.ts";
import { exfiltration } from "./rules/exfiltration.ts";
import { hiddenText } from "./rules/hidden-text.ts";
import { markup } from "./rules/markup.ts";
import { modelNames } from "./rules/model-names.ts";
import { override } from "./rules/override.ts";
import { precedence } from "./rules/precedence.ts";
import { references } from "./rules/references.ts";
import { secrecy } from "./rules/secrecy.ts";
import { secretRequests } from "./rules/secret-requests.ts";
import { sensitiveFiles } from "./rules/sensitive-files.ts";
import { shadowing } from "./rules/shadowing.ts";
import { size } from "./rules/size.ts";
import { walk } from "./walk.ts";

const RULES: readonly Rule[] = [
  hiddenText,
  override,
  secrecy,
  markup,
  exfiltration,
  sensitiveFiles,
  precedence,
  encoded,
  secretRequests,
  references,
  annotations,
  size,
];
const SET_RULES: readonly SetRule[] = [duplicates, shadowing, modelNames];
/** The codes of all findings. */
export const FINDING_CODES: readonly string[] = [
  ...[...RULES, ...SET_RULES].map(({ code }) => code),
  "malformed",
  "too_many",
];

export const MAX_FINDINGS = 1_000;
/** Of all definitions of a server together, in UTF-16 units, as `walk` counts. */
const MAX_ALL_SIZE = 2 * 1024 * 1024;

export interface CheckRequest extends ServerDefinitions {
  server: string;
  /** What the server says of itself at its start, which clients hand to models, too. */
  instructions?: string;
  otherServers?: readonly { name: string; tools: readonly string[] }[];
  /** What a client puts before the names of the gateway's tools; that of Claude Code by default, which is the longest. */
  clientPrefix?: string;
}

/**
 * What there is to say against a server's definitions, in their order. It takes no longer, and yields no more, than its bounds allow; what
 * is left out for them is a finding of its own, of `danger`: nobody has looked at it.
 */
export function checkDefinitions(request: CheckRequest): Finding[] {
  const { server, otherServers = [], clientPrefix = "mcp__firebreak__" } = request;
  const found = new Findings(server);
  const subjects = [...subjectsOf(request, found)];
  for (const subject of subjects)
    for (const rule of RULES) rule.check(subject, (...args) => found.add(rule.code, subject, ...args));
  for (const rule of SET_RULES)
    rule.check(subjects, { server, otherServers, clientPrefix }, (subject, ...args) =>
      found.add(rule.code, subject, ...args),
    );
  return found.list();
}

class Findings {
  readonly #server: string;
  readonly #found: Finding[] = [];
  #left = 0;

  constructor(server: string) {
    this.#server = server;
  }

  add(
    code: string,
    { kind, name }: Pick<Subject, "kind" | "name">,
    severity: Finding["severity"],
    message: string,
    where: string,
  ): void {
    const subject = quoteBriefly(name, 200);
    // What is grave is not lost behind a heap of what is not.
    const most = severity === "danger" ? MAX_FINDINGS : MAX_FINDINGS / 2;
    if (this.#found.length >= most) this.#left++;
    else
      this.#found.push({
        code,
        severity,
        server: this.#server,
        kind,
        subject,
        message,
        where: quoteBriefly(where, 600),
      });
  }

  list(): Finding[] {
    if (this.#left === 0) return this.#found;
    const message = `there are ${this.#left} findings more`;
    const rest = { kind: "server", subject: this.#server, message, where: "" } as const;
    return [...this.#found, { code: "too_many", severity: "danger", server: this.#server, ...rest }];
  }
}

function* subjectsOf(request: CheckRequest, found: Findings): Generator<Subject> {
  const self = { kind: "server", name: request.server } as const;
  let size = 0;
  if (request.instructions !== undefined) yield toSubject(self.kind, self.name, { instructions: request.instructions });
  for (const [kind, list] of LISTS) {
    const definitions = request[list] ?? [];
    if (definitions.length > MAX_DEFINITIONS)
      found.add(
        "too_many",
        self,
        "danger",
        `${definitions.length} in ${list}: only the first ${MAX_DEFINITIONS} have been looked at`,
        list,
      );
    for (const [index, definition] of definitions.slice(0, MAX_DEFINITIONS).entries()) {
      const name = keyOf(kind, definition);
      if (name === undefined || !isDefinition(definition)) {
        found.add(
          "malformed",
          { kind, name: `${list}[${index}]` },
          "danger",
          "it has no name of use",
          `${list}[${index}]`,
        );
        continue;
      }
      const subject = toSubject(kind, name, definition);
      size += subject.walk.size;
      if (size > MAX_ALL_SIZE) {
        found.add(
          "too_many",
          self,
          "danger",
          `more than ${MAX_ALL_SIZE / 1024 / 1024} MiB: ${list} from [${index}] on have not been looked at`,
          list,
        );
        return;
      }
      yield subject;
    }
  }
}

function toSubject(kind: Subject["kind"], name: string, definition: Definition): Subject {
  const walked = walk(definition);
  const plain = walked.texts.map(({ where, text, isKey }) => ({ where, isKey, text: toPlain(text) }));
  return { kind, name, definition, walk: walked, plain };
}
