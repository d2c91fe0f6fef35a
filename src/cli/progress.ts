import type { Progress } from "../contract/vm.ts";

const BAR_WIDTH = 24;
/** Work that ends sooner than this shows nothing on a terminal, ms. */
const DRAW_AFTER_MS = 400;
/** Without a terminal each line stays: a step is told once it has lasted this long, ms. */
const TELL_AFTER_MS = 1_000;

/** What progress is written with; tests bring their own. */
export interface ProgressHost {
  write: (text: string) => void;
  isTerminal: boolean;
  columns: number | undefined;
  /** Calls back once; returns what prevents that. */
  after: (ms: number, callback: () => void) => () => void;
}

const HOST: ProgressHost = {
  write: (text) => void process.stderr.write(text),
  isTerminal: process.stderr.isTTY === true,
  get columns() {
    return process.stderr.columns;
  },
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/**
 * Progress on stderr, of what takes long enough to be wondered about: one line that changes on a terminal, one line a step
 * elsewhere. Nothing with --json.
 */
export class ProgressLine {
  readonly #host: ProgressHost;
  readonly #isSilent: boolean;
  #latest: Progress | undefined;
  #cancelTimer: (() => void) | undefined;
  /** On a terminal: the work has lasted long enough to be shown as it comes. */
  #isShown = false;
  #isDrawn = false;

  constructor(isSilent: boolean, host: ProgressHost = HOST) {
    this.#isSilent = isSilent;
    this.#host = host;
  }

  readonly update = (progress: Progress): void => {
    if (this.#isSilent) return;
    // What a person must know of stays on the screen.
    if (progress.message.startsWith("using emulation")) {
      this.#wipe();
      this.#host.write(`firebreak: ${progress.message}\n`);
      return;
    }
    const before = this.#latest;
    this.#latest = progress;
    if (this.#host.isTerminal) this.#updateTerminal();
    else if (before === undefined || keyOf(before) !== keyOf(progress)) this.#restartTimer(TELL_AFTER_MS, this.#tell);
  };

  /** Says what is done while it is done, where it tells of no steps itself. */
  async during<T>(message: string, work: () => Promise<T>): Promise<T> {
    this.update({ step: message, message });
    return work().finally(() => this.clear());
  }

  #updateTerminal(): void {
    if (this.#isShown) this.#draw();
    else if (this.#cancelTimer === undefined) this.#restartTimer(DRAW_AFTER_MS, this.#draw);
  }

  #restartTimer(ms: number, callback: () => void): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#host.after(ms, callback);
  }

  readonly #tell = (): void => {
    if (this.#latest === undefined) return;
    const { message, fraction } = this.#latest;
    this.#host.write(`${message}${fraction === undefined ? "" : ` ${Math.round(fraction * 100)} %`}\n`);
  };

  readonly #draw = (): void => {
    if (this.#latest === undefined) return;
    const { message, fraction } = this.#latest;
    const bar = fraction === undefined ? "" : `${drawBar(fraction)} `;
    const line = `${bar}${message}`.slice(0, Math.max(10, (this.#host.columns ?? 80) - 1));
    this.#host.write(`\r\x1b[K${line}`);
    this.#isShown = true;
    this.#isDrawn = true;
  };

  #wipe(): void {
    if (this.#isDrawn) this.#host.write("\r\x1b[K");
    this.#isDrawn = false;
  }

  /** The work has ended: takes the line away before other output. */
  clear(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#latest = undefined;
    this.#isShown = false;
    this.#wipe();
  }
}

/** What makes a line of its own: a step, or a quarter of one. */
function keyOf({ step, fraction }: Progress): string {
  return fraction === undefined ? step : `${step} ${Math.floor(fraction * 4)}`;
}

function drawBar(fraction: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, fraction)) * BAR_WIDTH);
  return `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}] ${String(Math.round(fraction * 100)).padStart(3)} %`;
}
