import { FirebreakError } from "../../../errors/firebreak-error.ts";

/** A release of Firecracker, as `firecracker --version` and `GET /version` name it. */
export interface FirecrackerVersion {
  major: number;
  minor: number;
  patch: number;
  /** As it was said, without a leading "v". */
  text: string;
}

/** Older ones lack what the driver relies on, and get no fixes: the project supports its last two minor releases. */
const OLDEST = { major: 1, minor: 13 };

/** What came with which release, as the changelog of Firecracker has it. */
export interface FirecrackerFeatures {
  /** `PUT /serial`: the console goes to a file; before, it goes to the VMM's standard output. */
  hasSerialPath: boolean;
  /** `rate_limiter` of `PUT /serial`. */
  hasSerialLimit: boolean;
  /** `vsock_override` of `PUT /snapshot/load`; before, the socket has to be at the path that was saved. */
  hasVsockOverride: boolean;
  /** `clock_realtime` of `PUT /snapshot/load`. */
  hasClockRealtime: boolean;
  /** `free_page_reporting` of `PUT /balloon`. */
  hasPageReporting: boolean;
  /** Guests reach their host again after a restore (#5958), which the driver's channel rests upon. */
  hasReliableVsock: boolean;
}

/**
 * The version in what `firecracker --version` prints ("Firecracker v1.16.1") or `GET /version` answers ("1.16.1", "1.17.0-dev").
 * Throws VMM_START_FAILED for what is no version, or one that is too old.
 */
export function parseFirecrackerVersion(words: string): FirecrackerVersion {
  const found = /(?:^|\bv|\s)(\d{1,4})\.(\d{1,4})\.(\d{1,6})(-[\w.-]{1,40})?/m.exec(words);
  if (found === null) {
    throw new FirebreakError("VMM_START_FAILED", "firecracker does not say its version", {
      hint: "Look at what 'firecracker --version' prints; FIREBREAK_FIRECRACKER names the program.",
    });
  }
  const [major, minor, patch] = [Number(found[1]), Number(found[2]), Number(found[3])];
  const text = `${major}.${minor}.${patch}${found[4] ?? ""}`;
  if (major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor)) {
    throw new FirebreakError(
      "VMM_START_FAILED",
      `Firecracker ${text} is too old; ${OLDEST.major}.${OLDEST.minor} is the oldest that works`,
      { hint: "Install a newer release, or use the driver qemu.", details: { version: text } },
    );
  }
  return { major, minor, patch, text };
}

export function featuresOf(version: FirecrackerVersion): FirecrackerFeatures {
  const isAtLeast = (minor: number, patch = 0) =>
    version.major > 1 || version.minor > minor || (version.minor === minor && version.patch >= patch);
  return {
    hasSerialPath: isAtLeast(14),
    hasSerialLimit: isAtLeast(16),
    hasPageReporting: isAtLeast(14),
    hasVsockOverride: isAtLeast(16),
    hasClockRealtime: isAtLeast(16),
    hasReliableVsock: isAtLeast(16, 1),
  };
}
