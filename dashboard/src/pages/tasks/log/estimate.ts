import type { TaskEvent } from "../../../../../src/contract/task-event.ts";
import { CUT_LENGTH } from "./block-row.tsx";
import type { Block } from "./blocks.ts";
import { formatInput } from "./blocks.ts";

const LINE = 20;
/** Of a block without its text: as log.css has it. */
const FRAME = 46;
/** About how wide a letter is, px: of the sans serif face, and of the other. */
const LETTER = 6.9;
const MONO_LETTER = 7.8;

/** Lines that a text takes, at some width, where it is not shown whole. */
function linesOf(text: string, perLine: number): number {
  const shown = text.length > CUT_LENGTH ? text.slice(0, CUT_LENGTH) : text;
  let lines = text.length > CUT_LENGTH ? 2 : 0;
  for (let from = 0; from <= shown.length; ) {
    const end = shown.indexOf("\n", from);
    const length = (end < 0 ? shown.length : end) - from;
    lines += Math.max(1, Math.ceil(length / perLine));
    if (end < 0) break;
    from = end + 1;
  }
  return lines;
}

/** About how high a row will be, px: a guess that is right spares another drawing. `width` is the log's. */
export function estimateBlock(block: Block, width: number): number {
  const perLine = (letter: number) => Math.max(20, Math.floor((width - 50) / letter));
  switch (block.kind) {
    case "note":
      return 30;
    case "output":
      return LINE * linesOf(block.text, perLine(MONO_LETTER));
    case "finished":
      return FRAME + 21;
    case "tool_call":
      return FRAME + LINE * linesOf(formatInput(block.input), perLine(MONO_LETTER));
    case "tool_result":
      return FRAME + LINE * linesOf(block.text.replace(/\n$/, ""), perLine(MONO_LETTER));
    default:
      return FRAME + LINE * linesOf(block.text, perLine(LETTER));
  }
}

export function estimateRaw(event: TaskEvent, width: number): number {
  const perLine = Math.max(20, Math.floor((width - 90) / 7.4));
  const length = (event.raw?.length ?? 0) + ("text" in event ? (event.text?.length ?? 0) : 60) + 90;
  return 4 + 18 * Math.ceil(Math.min(length, CUT_LENGTH) / perLine);
}
