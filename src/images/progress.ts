/** One report of a long operation, for a progress bar. */
export interface Progress {
  /** Stable word for the phase, such as "kernel-fetch"; the same phase may report many times. */
  step: string;
  /** One line for people. */
  message: string;
  /** How much of the phase is done, 0 to 1; absent where it cannot be known. */
  fraction?: number;
}

export type OnProgress = (progress: Progress) => void;

/** What every long call of this folder takes. */
export interface ImageOptions {
  onProgress?: OnProgress;
  signal?: AbortSignal;
  /** Environment of the host programs, and where FIREBREAK_DEBIAN_MIRROR is read; default: our own. */
  env?: NodeJS.ProcessEnv;
  /** Keyring that must have signed the Debian archive; default: Debian's own. */
  keyring?: string;
}
