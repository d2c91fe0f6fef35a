import type { Progress } from "../contract/vm.ts";

const BAR_WIDTH = 24;
/** What ends sooner than this needs no line on the terminal. */
const QUIET_MS = 400;

/**
 * Progress on stderr: one line that changes on a terminal, one line a step elsewhere. Nothing with --json or --quiet.
 */
export class ProgressLine {
  readonly #isTerminal = process.stderr.isTTY === true;
  readonly #isSilent: boolean;
  readonly #startedMs = Date.now();
  #lastStep = "";
  #isDrawn = false;

  constructor(isSilent: boolean) {
    this.#isSilent = isSilent;
  }

  readonly update = (progress: Progress): void => {
    if (this.#isSilent) return;
    // What a person must know of stays on the screen.
    if (progress.message.startsWith("using emulation")) {
      this.#note(progress.message);
      return;
    }
    if (!this.#isTerminal) {
      // Without a terminal only what is slow is told: builds, not boots.
      const key =
        progress.fraction === undefined ? progress.step : `${progress.step} ${Math.floor(progress.fraction * 4)}`;
      if (key === this.#lastStep || QUICK_STEPS.has(progress.step)) return;
      this.#lastStep = key;
      process.stderr.write(
        `${progress.message}${progress.fraction === undefined ? "" : ` ${Math.round(progress.fraction * 100)} %`}\n`,
      );
      return;
    }
    if (Date.now() - this.#startedMs < QUIET_MS && QUICK_STEPS.has(progress.step)) return;
    const bar = progress.fraction === undefined ? "" : `${drawBar(progress.fraction)} `;
    const line = `${bar}${progress.message}`.slice(0, Math.max(10, (process.stderr.columns ?? 80) - 1));
    process.stderr.write(`\r\x1b[K${line}`);
    this.#isDrawn = true;
  };

  #note(message: string): void {
    this.clear();
    process.stderr.write(`firebreak: ${message}\n`);
  }

  /** Takes the line away before other output. */
  clear(): void {
    if (this.#isDrawn) process.stderr.write("\r\x1b[K");
    this.#isDrawn = false;
  }
}

const QUICK_STEPS: ReadonlySet<string> = new Set(["drive", "accel", "boot", "stop", "copy", "done"]);

function drawBar(fraction: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, fraction)) * BAR_WIDTH);
  return `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}] ${String(Math.round(fraction * 100)).padStart(3)} %`;
}
