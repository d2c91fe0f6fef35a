import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { FirebreakError, toFirebreakError } from "../../errors/firebreak-error.ts";
import { runCommand } from "../../platform/process.ts";
import type { AccelRequest, AccelVerdict, BootFiles, VmmConfig } from "../driver.ts";
import { explainKvm } from "../kvm-device.ts";
import { KVM_HANGS, PROBE_DEADLINE_MS, probeConfig } from "../kvm-probe.ts";
import { killProcess } from "../vmm-process.ts";
import { SOCKET_NAMES } from "./command-line.ts";
import { openProbeChannel } from "./probe-channel.ts";
import { type QemuProcess, removeRuntimeDir } from "./spawn.ts";

interface CachedVerdict {
  key: string;
  works: boolean;
  reason: string;
}

interface CacheFile {
  verdict?: CachedVerdict;
  tsc?: { bootId: string; khz: number };
}

export interface AccelChooserOptions {
  cachePath: string;
  agentPath: string;
  probeRuntimeDir: string;
  probeUid: number;
  spawn: (config: VmmConfig, signal?: AbortSignal) => Promise<QemuProcess>;
}

/** Decides between KVM and TCG by booting the real kernel in KVM: a /dev/kvm that opens proves nothing. */
export class AccelChooser {
  readonly #options: AccelChooserOptions;
  #probing: Promise<CachedVerdict> | undefined;
  /** The host's, for as long as this process lives. */
  #tscKhz: Promise<number | undefined> | undefined;

  constructor(options: AccelChooserOptions) {
    this.#options = options;
  }

  async choose(
    request: AccelRequest,
    boot: BootFiles,
    qemuVersion: string,
    signal?: AbortSignal,
  ): Promise<AccelVerdict> {
    if (request === "tcg") return { accel: "tcg", reason: "asked for", isFresh: false };
    const key = await this.#verdictKey(boot, qemuVersion);
    const cached = (await this.#readCache()).verdict;
    const isFresh = cached?.key !== key;
    const verdict = isFresh ? await this.#probeOnce(key, boot, signal) : cached;
    if (verdict.works) return { accel: "kvm", isFresh };
    if (request === "kvm") {
      throw new FirebreakError("ACCEL_UNAVAILABLE", `KVM does not work here: ${verdict.reason}`, {
        hint: "Use --accel tcg, or auto.",
      });
    }
    return { accel: "tcg", reason: verdict.reason, isFresh };
  }

  /** The host's TSC frequency in kHz, measured once per boot of the host; undefined where there is no TSC. */
  hostTscKhz(): Promise<number | undefined> {
    this.#tscKhz ??= this.#measureTsc().catch((error: unknown) => {
      this.#tscKhz = undefined;
      throw error;
    });
    return this.#tscKhz;
  }

  async #measureTsc(): Promise<number | undefined> {
    const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    const cache = await this.#readCache();
    if (cache.tsc?.bootId === bootId) return cache.tsc.khz;
    const result = await runCommand(this.#options.agentPath, ["tsc-khz"], { timeoutMs: 5_000, allowFailure: true });
    const khz = Number(result.stdout.trim());
    if (result.exitCode !== 0 || !Number.isSafeInteger(khz) || khz < 100_000) return undefined;
    await this.#writeCache({ ...(await this.#readCache()), tsc: { bootId, khz } });
    return khz;
  }

  async #probeOnce(key: string, boot: BootFiles, signal?: AbortSignal): Promise<CachedVerdict> {
    for (;;) {
      const isOwn = this.#probing === undefined;
      try {
        return await this.#startProbe(key, boot, signal);
      } catch (error) {
        // Whoever began this probe has given it up, which is no answer to others.
        const isAnothers = !isOwn && toFirebreakError(error).code === "OPERATION_CANCELED";
        if (signal?.aborted || !isAnothers) throw error;
      }
    }
  }

  /** The one that is going on, if one is. */
  #startProbe(key: string, boot: BootFiles, signal?: AbortSignal): Promise<CachedVerdict> {
    this.#probing ??= this.#probe(boot, signal)
      .then(async (outcome) => {
        const verdict = { key, ...outcome };
        await this.#writeCache({ ...(await this.#readCache()), verdict });
        return verdict;
      })
      .finally(() => {
        this.#probing = undefined;
      });
    return this.#probing;
  }

  async #probe(boot: BootFiles, signal?: AbortSignal): Promise<{ works: boolean; reason: string }> {
    const closed = await explainKvm();
    if (closed !== undefined) return { works: false, reason: closed };
    const runtimeDir = this.#options.probeRuntimeDir;
    const config = probeConfig(boot, {
      runtimeDir,
      logPath: path.join(path.dirname(this.#options.cachePath), "probe.log"),
      uid: this.#options.probeUid,
    });
    await rm(config.logPath, { force: true }); // an earlier probe's words are not this one's
    const startedAt = Date.now();
    let probe: QemuProcess;
    try {
      probe = await this.#options.spawn(config, signal);
    } catch (error) {
      if (signal?.aborted) throw error;
      return { works: false, reason: await describeFailure(config.logPath, error) };
    }
    try {
      const left = PROBE_DEADLINE_MS - (Date.now() - startedAt);
      const answered = await openProbeChannel(`${runtimeDir}/${SOCKET_NAMES.control}`, left, probe.qmp.closed, signal);
      if (signal?.aborted) throw new FirebreakError("OPERATION_CANCELED", "the KVM probe was cancelled");
      if (answered) return { works: true, reason: "" };
      return { works: false, reason: KVM_HANGS };
    } finally {
      probe.qmp.close();
      await killProcess(probe.identity);
      await removeRuntimeDir(runtimeDir);
    }
  }

  /** A verdict holds for one host boot, kernel, initrd, QEMU and state of /dev/kvm. */
  async #verdictKey(boot: BootFiles, qemuVersion: string): Promise<string> {
    const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    const device = await stat("/dev/kvm").catch(() => undefined);
    return [bootId, qemuVersion, boot.kernelPath, boot.initrdPath, device?.mode ?? "none", device?.gid ?? "none"].join(
      " ",
    );
  }

  async #readCache(): Promise<CacheFile> {
    const text = await readFile(this.#options.cachePath, "utf8").catch(() => "{}");
    try {
      return JSON.parse(text) as CacheFile;
    } catch {
      return {}; // cut short by a full disk: measured again
    }
  }

  async #writeCache(cache: CacheFile): Promise<void> {
    await mkdir(path.dirname(this.#options.cachePath), { recursive: true });
    const temporary = `${this.#options.cachePath}.${randomBytes(4).toString("hex")}`;
    await writeFile(temporary, JSON.stringify(cache));
    await rename(temporary, this.#options.cachePath);
  }
}

/** QEMU's first complaint, without its own name: what follows is mostly an assertion. */
async function describeFailure(logPath: string, error: unknown): Promise<string> {
  const log = await readFile(logPath, "utf8").catch(() => "");
  const first = log.split("\n")[0]?.replace(/^\S+: (error: )?/, "");
  return first ? `QEMU cannot use KVM here: ${first}` : `QEMU does not start with KVM: ${(error as Error).message}`;
}
