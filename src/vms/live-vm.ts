import type { Socket } from "node:net";
import { GuestClient } from "../guest/client.ts";
import { GuestConnection } from "../guest/connection.ts";
import { BoundedLog } from "../platform/bounded-log.ts";
import type { VmmDriver, VmmRecord } from "../vmm/driver.ts";

/** Console output that is kept of a VM; twice as much while it turns over. */
export const CONSOLE_LOG_BYTES = 512 * 1024;

const PANIC_WORDS = "Kernel panic - not syncing";
/** What a panicking kernel gets for its last lines before its VMM is ended. */
const PANIC_GRACE_MS = 400;

export interface LiveVmOptions {
  driver: VmmDriver;
  vmm: VmmRecord;
  /** What its VMM may take. */
  memoryMib: number;
  consoleLogPath: string;
  attachDeadlineMs: number;
}

/** What the daemon holds of a VM whose VMM runs: the channel and the console. One owner closes it; the VM goes on. */
export class LiveVm {
  readonly vmm: VmmRecord;
  readonly memoryMib: number;
  readonly connection: GuestConnection;
  readonly client: GuestClient;
  readonly #lifetime = new AbortController();
  readonly #followers = new Set<(bytes: Buffer) => void>();
  #console: Socket | undefined;
  readonly #consoleEnd = Promise.withResolvers<void>();
  readonly #consoleLog: BoundedLog;
  #consoleTail = "";
  #hasPanicked = false;

  constructor(options: LiveVmOptions) {
    this.vmm = options.vmm;
    this.memoryMib = options.memoryMib;
    this.connection = new GuestConnection({
      open: (signal) => options.driver.openChannel(options.vmm, signal),
      attachDeadlineMs: options.attachDeadlineMs,
    });
    this.client = new GuestClient(this.connection);
    this.#consoleLog = new BoundedLog(options.consoleLogPath, CONSOLE_LOG_BYTES);
    void this.#readConsole(options);
  }

  /** Aborts when this is closed: for whoever watches the VM. */
  get signal(): AbortSignal {
    return this.#lifetime.signal;
  }

  /** Calls with each piece of console output from now on; returns what ends that. */
  followConsole(onBytes: (bytes: Buffer) => void): () => void {
    this.#followers.add(onBytes);
    return () => this.#followers.delete(onBytes);
  }

  /** Resolves when all that the console will ever say has been read. */
  get consoleEnd(): Promise<void> {
    return this.#consoleEnd.promise;
  }

  async #readConsole(options: LiveVmOptions): Promise<void> {
    const socket = await options.driver.openConsole(options.vmm, this.#lifetime.signal).catch(() => undefined);
    if (socket === undefined) return this.#consoleEnd.resolve();
    socket.once("close", () => this.#consoleEnd.resolve());
    if (this.#lifetime.signal.aborted) return void socket.destroy();
    this.#console = socket;
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => {
      this.#consoleLog.append(bytes);
      this.#watchForPanic(bytes, options);
      for (const follower of this.#followers) follower(bytes);
    });
  }

  /** True once the guest's kernel has said that it panics. */
  get hasPanicked(): boolean {
    return this.#hasPanicked;
  }

  /**
   * A kernel that panics restarts, which ends its VMM; under TCG it sometimes hangs on the way instead. A guest that only prints
   * the words ends itself and nobody else.
   */
  #watchForPanic(bytes: Buffer, { driver, vmm }: LiveVmOptions): void {
    if (this.#hasPanicked) return;
    const text = this.#consoleTail + bytes.toString("latin1");
    // The words may be cut by two pieces.
    this.#consoleTail = text.slice(-PANIC_WORDS.length);
    if (!text.includes(PANIC_WORDS)) return;
    this.#hasPanicked = true;
    const timer = setTimeout(() => void driver.kill(vmm).catch(() => {}), PANIC_GRACE_MS);
    this.#lifetime.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  }

  close(): void {
    if (this.#lifetime.signal.aborted) return;
    this.#lifetime.abort();
    this.connection.close();
    this.#console?.destroy();
    this.#consoleLog.close();
  }
}
