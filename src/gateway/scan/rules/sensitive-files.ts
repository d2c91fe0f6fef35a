import { patternRule } from "./pattern-rule.ts";

const FILE =
  "(?:~?/?\\.ssh/|id_(?:rsa|ed25519|ecdsa)\\b|id (?:rsa|ed25519|ecdsa)\\b|\\.aws/(?:credentials|config)|\\.kube/config|\\.docker/config\\.json|\\.netrc\\b|\\.pgpass\\b|\\.npmrc\\b|\\.pypirc\\b|\\.git-credentials|\\.gnupg/|/etc/(?:passwd|shadow|sudoers)\\b|\\.cursor/mcp\\.json|\\.mcp\\.json|claude_desktop_config\\.json|\\.claude\\.json|\\.bash_history|\\.zsh_history|wallet\\.dat\\b|login\\.keychain|/proc/self/environ)";
const READ =
  "(?:read|open|cat|load|fetch|send|post|pass|include|provide|copy|upload|paste|contents? (?:of|from)|content from reading)";

/** Files that hold what must not get into a prompt. */
export const sensitiveFiles = patternRule("sensitive_file", [
  {
    severity: "danger",
    what: "wants a file that holds secrets to be read",
    pattern: new RegExp(`\\b${READ}\\b[^.]{0,60}?${FILE}`),
    inKeys: true,
  },
  { severity: "warning", what: "names a file that holds secrets", pattern: new RegExp(FILE), inKeys: true },
  {
    severity: "danger",
    what: "wants a .env file to be read",
    pattern:
      /\b(?:read|open|cat|send|include|paste|upload|contents? of) (?:the |your |a |its |their |user's |project's ){0,2}\.env\b(?! ?example)/,
  },
]);
