import { writeFileSync } from "node:fs";
import { ERROR_CLASSES, ERROR_CODES } from "../src/errors/catalogue.ts";

/** Writes docs/errors.md from the catalogue; a unit test compares the two. */
const rows = Object.entries(ERROR_CODES).map(([code, entry]) => {
  const numbers = ERROR_CLASSES[entry.class];
  const exit = "exit" in entry ? entry.exit : numbers.exit;
  return `| \`${code}\` | ${entry.class} | ${numbers.http} | ${exit} | ${entry.about} |`;
});
const text = `# Errors

Every error has a code that never changes its meaning, a class that says what the caller should do, a message, and mostly a hint.
Over HTTP the body is \`{"error": {code, class, message, hint?, details?}}\`; with \`--json\` the CLI prints the same on stderr. The CLI's
exit code follows from the class. \`run\` and \`vm exec\` pass the command's own exit code on (128 + signal when it was killed, 124 when
it ran into \`--timeout\`), and end with 126 or 127 when it could not be run and with 125 on any other failure of ours.

Written by \`scripts/write-errors-doc.ts\` from \`src/errors/catalogue.ts\`.

| code | class | HTTP | exit | meaning |
| --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
writeFileSync("docs/errors.md", text);
