import type { ConfigWarning } from "../../../gateway/config/layers.ts";
import { stripControl } from "../../../platform/terminal-text.ts";

/** On stderr, as compilers have it: `FILE:LINE: key: message`. */
export function printConfigWarnings(warnings: readonly ConfigWarning[], file: string): void {
  for (const { line, key, message } of warnings)
    process.stderr.write(`${stripControl(`${file}:${line}: ${key === "" ? "" : `${key}: `}${message}`)}\n`);
}
