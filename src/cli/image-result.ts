import type { ImageResult } from "../contract/image.ts";
import { stripControl } from "../platform/terminal-text.ts";
import { formatBytes, printJson } from "./output.ts";

/** What has become of a build, a pull or an import; what was left out of the image goes to stderr. */
export function printImageResult(result: ImageResult, verb: string, asJson: boolean): void {
  if (asJson) {
    printJson(result);
    return;
  }
  const { image, isUpToDate, warnings } = result;
  for (const warning of warnings) process.stderr.write(`firebreak: ${stripControl(warning)}\n`);
  const what = `${image.name} ${image.digest.slice(0, 19)} (${formatBytes(image.sizeBytes)})`;
  process.stdout.write(isUpToDate ? `${what} is up to date; nothing to do\n` : `${what} is ${verb}\n`);
  if (image.source !== undefined)
    process.stdout.write(`${stripControl(image.source.reference)} is ${image.source.digest}\n`);
}
