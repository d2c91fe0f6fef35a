import { patternRule } from "./pattern-rule.ts";

const SEND =
  "(?:send|post|upload|forward|transmit|exfiltrate|leak|submit|copy|email|e-mail|bcc|append|attach|include|pass|put|encode|paste|provide)";
const WHOSE =
  "(?:(?:the|all|your|this|any|entire|full|whole|complete|of|user'?s?|previous|prior|our|current|available|and|contents?) ){1,6}";
const TALK =
  "(?:conversations?(?: history)?|chat(?: history| log| transcript)?|message history|system prompt|(?:previous|prior|earlier|user'?s?) messages|tool (?:results?|calls?|list)|context window)";
const KEYS =
  "(?:environment variables?|env vars?|credentials?|secrets?|api keys?|access tokens?|private keys?|ssh keys?|passwords?)";
const AWAY = "[^.]{0,60}?(?:\\bto\\b|\\bin\\b|\\binto\\b|\\bas\\b|\\bvia\\b|\\bwith\\b|\\bat\\b)";

/** Text that has the model carry off what it knows. */
export const exfiltration = patternRule("exfiltration", [
  {
    severity: "danger",
    what: "has the model carry off what was said to it",
    pattern: new RegExp(`\\b${SEND} (?:me |us |it |along |a copy of )?${WHOSE}${TALK}\\b${AWAY}`),
  },
  {
    severity: "danger",
    what: "has the model send secrets away",
    pattern: new RegExp(
      `\\b${SEND} (?:me |us |along )?${WHOSE}${KEYS}\\b[^.]{0,40}(?:https?://|[\\w.-]{1,64}@[\\w-]{1,64}\\.)`,
    ),
  },
  {
    severity: "warning",
    what: "has the model pass secrets on",
    pattern: new RegExp(`\\b${SEND} (?:me |us |along )?${WHOSE}${KEYS}\\b${AWAY}`),
  },
  {
    severity: "danger",
    what: "has the model make links that carry text away",
    pattern: /!\[[^\]]{0,100}\]\(https?:\/\/[^)\s]{0,300}(?:\{|<|\$|%s)/,
  },
  {
    severity: "danger",
    what: "has every message go to somebody else, too",
    pattern:
      /\b(?:always|also|secretly|silently) (?:bcc|cc|send a copy|forward (?:a copy|it|them|everything)|copy (?:it|them|everything))\b/,
  },
]);
