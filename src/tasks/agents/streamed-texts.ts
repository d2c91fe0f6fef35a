import { Memory } from "./fields.ts";

/** Messages whose pieces are remembered: a whole message follows its pieces closely. */
const MAX_MESSAGES = 100;
/** Characters of one message. */
const MAX_LENGTH = 8 * 1024 * 1024;

/** The blocks of a message that have come in pieces, in their order. */
class Blocks {
  readonly texts = new Map<string, string>();
  length = 0;
}

/** Texts that have come in pieces, so that the whole message behind them does not repeat them. */
export class StreamedTexts {
  readonly #messages = new Memory<Blocks>(MAX_MESSAGES);

  add(message: string, block: string, piece: string): void {
    const blocks = this.#messages.get(message) ?? new Blocks();
    this.#messages.set(message, blocks);
    blocks.length += piece.length;
    if (blocks.length <= MAX_LENGTH) blocks.texts.set(block, (blocks.texts.get(block) ?? "") + piece);
  }

  /** What of a whole text has not come yet, and the block that it belongs to; all of it when no piece of it has. Each block is used up by that. */
  take(message: string, whole: string): { rest: string; block: string | undefined } {
    const blocks = this.#messages.get(message);
    const all = [...(blocks?.texts ?? [])];
    const found =
      all.find(([, text]) => text === whole) ?? all.find(([, text]) => text !== "" && whole.startsWith(text));
    if (found === undefined) return { rest: whole, block: undefined };
    const [block, text] = found;
    blocks?.texts.delete(block);
    return { rest: whole.slice(text.length), block };
  }
}
