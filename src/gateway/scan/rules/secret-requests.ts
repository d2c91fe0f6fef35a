import type { Severity } from "../../../contract/scan.ts";
import { quoteBriefly } from "../../../platform/hidden-text.ts";
import { toPlain, wordsOf } from "../plain-text.ts";
import type { Rule, Subject } from "../rule.ts";

/** Words of a parameter's name that ask for a secret, wherever they stand next to each other. */
const SECRETS = [
  "password",
  "passwd",
  "passphrase",
  "pwd",
  "secret",
  "client secret",
  "api key",
  "apikey",
  "access key",
  "secret key",
  "private key",
  "privatekey",
  "ssh key",
  "signing key",
  "encryption key",
  "access token",
  "auth token",
  "api token",
  "bearer token",
  "refresh token",
  "session token",
  "id token",
  "accesstoken",
  "authtoken",
  "bearer",
  "credential",
  "credentials",
  "mnemonic",
  "seed phrase",
  "recovery phrase",
  "cvv",
  "cvc",
  "card number",
  "credit card",
  "ssn",
  "social security number",
  "one time password",
  "otp",
  "session cookie",
];
/** What the model knows of its user's talk, and a tool has no need of. */
const TALK = [
  "system prompt",
  "system message",
  "conversation history",
  "chat history",
  "message history",
  "conversation log",
  "chat log",
  "chat transcript",
  "full conversation",
  "previous messages",
  "conversation context",
  "chain of thought",
  "tool list",
  "tools list",
  "available tools",
];
/** `token` alone is one; of these it is a part of something else. */
const TOKEN_OF =
  /^(?:page|next|continuation|sync|cursor|start|end|max|min|stop|pad|num|n|count|total|prompt|completion|confirm|preview|idempotency|csrf|cancel|resume|position)$/;
/** It is told about a secret, not told a secret. */
const ABOUT =
  /^(?:has|is|no|need|needs|require|requires|generate|include|show|hide|check|min|max|reset|change|use|with|allow)$|^(?:length|policy|name|id|type|count|limit|expiry|expires|ttl|hint|strength|rotation|enabled|required|field|path|file|format|age|manager|ref|arn|version)$/;

const DESCRIBED_SECRET =
  /\b(?:your|the user's|user's|their|account) (?:[\w-]+ ){0,2}(?:password|passphrase|api key|access token|secret key|private key|ssh key|credentials|seed phrase|credit card)\b/;
const DESCRIBED_TALK =
  /\b(?:the|your|full|entire|complete|whole|all) (?:[\w-]+ ){0,3}(?:system prompt|conversation (?:so far|history|up to)|chat history|previous messages|messages so far|message history|chain of thought|list of (?:your |all )?(?:other )?(?:available )?tools)\b/;

/** Parameters that a model is to fill with secrets, or with what was said to it. */
export const secretRequests: Rule = {
  code: "secret_request",
  check: (subject, report) => {
    for (const parameter of parametersOf(subject)) {
      const found = judge(parameter);
      if (found !== undefined)
        report(found.severity, `the parameter "${quoteBriefly(parameter.name)}" ${found.message}`, parameter.where);
    }
  },
};

interface Parameter {
  name: string;
  description: string;
  where: string;
}

function judge({ name, description }: Parameter): { severity: Severity; message: string } | undefined {
  if (isTalk(name)) return { severity: "warning", message: "asks for what was said to the model" };
  if (isSecret(name))
    return { severity: "warning", message: "asks for a secret: put it into the vault, and grant it to the server" };
  const plain = toPlain(description.slice(0, 4_096));
  const talk = DESCRIBED_TALK.exec(plain)?.[0];
  if (talk !== undefined)
    return { severity: "danger", message: `asks for what was said to the model: "${quoteBriefly(talk)}"` };
  const secret = DESCRIBED_SECRET.exec(plain)?.[0];
  return secret === undefined
    ? undefined
    : { severity: "warning", message: `asks for a secret: "${quoteBriefly(secret)}"` };
}

function isSecret(name: string): boolean {
  const words = wordsOf(toPlainName(name));
  if (words.some((word) => ABOUT.test(word))) return false;
  const text = ` ${words.join(" ")} `;
  if (SECRETS.some((secret) => text.includes(` ${secret} `))) return true;
  return words.at(-1) === "token" && !TOKEN_OF.test(words.at(-2) ?? "");
}

function isTalk(name: string): boolean {
  const text = ` ${wordsOf(toPlainName(name)).join(" ")} `;
  return TALK.some((talk) => text.includes(` ${talk} `));
}

/** Case tells words apart, so that only what is in other scripts is made plain. */
function toPlainName(name: string): string {
  return /^[\x20-\x7e]*$/.test(name) ? name : toPlain(name);
}

/** Of a tool: the names that stand in `properties` of its input schema, at any depth. Of a prompt: its arguments. */
function* parametersOf({ kind, definition, walk }: Subject): Generator<Parameter> {
  if (kind === "prompt") {
    const list = Array.isArray(definition.arguments) ? definition.arguments.slice(0, 1_000) : [];
    for (const [index, one] of list.entries())
      if (typeof one?.name === "string")
        yield { name: one.name, description: textOf(one.description), where: `arguments[${index}]` };
    return;
  }
  if (kind !== "tool") return;
  const descriptions = new Map(walk.texts.filter(({ isKey }) => !isKey).map(({ where, text }) => [where, text]));
  for (const { where, text, isKey } of walk.texts) {
    if (!isKey || !where.startsWith("inputSchema.")) continue;
    const parent = where.slice(0, where.lastIndexOf("."));
    if (/(?:^|\.)properties$/.test(parent))
      yield { name: text, description: descriptions.get(`${where}.description`) ?? "", where };
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
