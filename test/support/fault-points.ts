import childProcess from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import fsPromises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import path from "node:path";
import { GuestClient } from "../../src/guest/client.ts";
import { QmpClient } from "../../src/vmm/qemu/qmp.ts";

/**
 * Where a fault can strike: before each call that changes anything outside this process (files, processes, the VMM, the guest, the
 * store). What dies after one call dies before the next. The calls are watched from outside: nothing in the product knows of it.
 */
export interface FaultPoints {
  calls: FaultCall[];
  /** From now on calls are counted; `strike` is called at the `at`th one, after `delayMs`. */
  arm: (runtime: string, at?: number, delayMs?: number, strike?: () => void) => void;
  /** As if it were a call: the end of what is watched. */
  hit: (name: string) => void;
  watchStore: <T extends object>(store: T) => T;
}

export interface FaultCall {
  name: string;
  /** How long after it the next one came, ms. */
  gapMs: number;
  /** Whether there was a VMM to be struck. */
  hasVmm: boolean;
}

/** Reads, handshakes and settings without an effect of their own are no places of interest. */
const QUIET_QMP = /^(?:qmp_capabilities|query-|migrate-set-)/;
const QUIET_PROGRAMS = new Set(["digest-memory", "tsc-khz", "--version"]);
const STORE_CALLS = new Set<string | symbol>(["insert", "update", "note", "remove", "attach", "change", "detach"]);

type AnyFunction = (...args: never[]) => unknown;

export function watchFaultPoints(): FaultPoints {
  const calls: FaultCall[] = [];
  let armed: { runtime: string; at: number | undefined; delayMs: number; strike: () => void } | undefined;
  let lastMs = 0;
  const hit = (name: string) => {
    if (armed === undefined) return;
    const { runtime, at, delayMs, strike } = armed;
    const last = calls.at(-1);
    if (last !== undefined) last.gapMs = performance.now() - lastMs;
    calls.push({ name, gapMs: 0, hasVmm: at === undefined && findVmms(runtime).length > 0 });
    lastMs = performance.now();
    if (calls.length !== at) return;
    if (delayMs === 0) strike();
    else setTimeout(strike, delayMs);
  };
  const wrap = <T extends object>(
    owner: T,
    key: keyof T & string,
    name: (...args: never[]) => string | undefined,
  ): void => {
    const original = owner[key] as AnyFunction;
    owner[key] = function (this: unknown, ...args: never[]) {
      const what = name(...args);
      if (what !== undefined) hit(what);
      return original.apply(this, args);
    } as T[keyof T & string];
  };
  const short = (file: unknown) => path.basename(String(file));
  wrap(fsPromises, "rename", (from, to) => `rename ${short(from)} to ${short(to)}`);
  wrap(fsPromises, "writeFile", (file) => `write ${short(file)}`);
  wrap(fsPromises, "rm", (file) => (existsSync(file as string) ? `remove ${short(file)}` : undefined));
  wrap(fsPromises, "mkdir", (file) => (existsSync(file as string) ? undefined : `make ${short(file)}`));
  wrap(fsPromises, "link", (from) => `link ${short(from)}`);
  wrap(childProcess, "spawn", (program, args) => {
    const words = Array.isArray(args) ? (args as string[]) : [];
    return QUIET_PROGRAMS.has(words[0] ?? "") ? undefined : `spawn ${short(program)} ${words[0] ?? ""}`;
  });
  syncBuiltinESMExports();
  wrap(process, "kill", (_pid, signal) => ((signal as unknown) === "SIGKILL" ? "kill" : undefined));
  wrap(QmpClient.prototype, "execute", (command) => (QUIET_QMP.test(command) ? undefined : `qmp ${command}`));
  for (const key of ["personalise", "sync", "openExec", "shutdown", "driveAttach", "driveDetach"] as const)
    wrap(GuestClient.prototype, key, () => `guest ${key}`);
  return {
    calls,
    hit,
    arm: (runtime, at, delayMs = 0, strike = () => {}) => {
      armed = { runtime, at, delayMs, strike };
    },
    watchStore: (store) =>
      new Proxy(store, {
        get: (target, key) => {
          const value = Reflect.get(target, key) as unknown;
          if (typeof value !== "function") return value;
          return (...args: unknown[]) => {
            if (STORE_CALLS.has(key)) hit(`store ${String(key)} ${stateIn(args)}`);
            return (value as AnyFunction).apply(target, args as never[]);
          };
        },
      }),
  };
}

function stateIn(args: unknown[]): string {
  const changes = args.find((value) => typeof value === "object" && value !== null) as
    | { state?: string; vmm?: unknown }
    | undefined;
  return changes?.state ?? (changes?.vmm === undefined ? "" : "vmm");
}

/** QEMUs of an installation, found without waiting: a fault strikes between two lines. */
export function findVmms(runtime: string): number[] {
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      return readFileSync(`/proc/${entry}/cmdline`, "utf8").includes(`path=${runtime}/v/`) ? [Number(entry)] : [];
    } catch {
      return []; // it has ended meanwhile
    }
  });
}
