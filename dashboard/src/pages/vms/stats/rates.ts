import { useRef } from "react";
import type { VmStats } from "../../../../../src/contract/vm.ts";

/** What has happened between two answers, by the second. */
export interface Rates {
  /** Of all its CPUs, 0 to 1; with TCG the VMM's own work is in it. */
  cpuShare: number;
  receivedPerSecond: number | undefined;
  sentPerSecond: number | undefined;
}

/** Rates of the newest answer against the one before; undefined until there are two of one VMM. */
export function useRates(stats: VmStats | undefined): Rates | undefined {
  const seen = useRef<{ stats: VmStats; rates: Rates | undefined }>(undefined);
  if (stats === undefined) return undefined;
  if (seen.current?.stats.at !== stats.at)
    seen.current = { stats, rates: seen.current === undefined ? undefined : ratesOf(seen.current.stats, stats) };
  return seen.current?.rates;
}

export function ratesOf(before: VmStats, now: VmStats): Rates | undefined {
  const ms = Date.parse(now.at) - Date.parse(before.at);
  if (before.vmm === undefined || now.vmm === undefined || ms <= 0 || now.vmm.cpuMs < before.vmm.cpuMs)
    return undefined;
  const perSecond = (from: number | undefined, to: number | undefined) =>
    from === undefined || to === undefined ? undefined : Math.max(0, (1000 * (to - from)) / ms);
  return {
    cpuShare: Math.min(1, (now.vmm.cpuMs - before.vmm.cpuMs) / ms / now.cpus),
    receivedPerSecond: perSecond(before.network?.receivedBytes, now.network?.receivedBytes),
    sentPerSecond: perSecond(before.network?.sentBytes, now.network?.sentBytes),
  };
}
