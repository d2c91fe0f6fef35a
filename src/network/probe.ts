import { randomBytes } from "node:crypto";
import type { EgressPolicy } from "../contract/policy.ts";
import type { ProbeFinding } from "../contract/probe.ts";
import { planDecoys } from "./decoy-probes.ts";
import type { Decoy } from "./decoys.ts";
import { parseName } from "./names.ts";
import { WEB_PORTS } from "./ports.ts";
import { type Attempt, ask, connectFrom, type ProbeGuest, reach } from "./probe-client.ts";
import { type NamedSets, parseRule } from "./rule-text.ts";
import type { CompiledPolicy } from "./rules.ts";
import { decideConnection, decideName } from "./rules.ts";
import { openTrap } from "./trap.ts";

interface Probe {
  probe: string;
  target: string;
  isExpectedOut: boolean;
  run: () => Promise<Attempt>;
}

export interface ProbedVm {
  client: ProbeGuest;
  policy: EgressPolicy;
  compiled: CompiledPolicy;
  sets: NamedSets;
  /** Makes names for the probe until the function is called that it returns. */
  layDecoys: (decoys: readonly Decoy[]) => () => void;
}

/** Tries to get out of a VM, from within it, in the ways that are tried, and compares with what its policy says. Needs nothing of its image. */
export async function probeEgress(vm: ProbedVm, onProgress: (message: string) => void): Promise<ProbeFinding[]> {
  const trap = await openTrap("127.0.0.1");
  const { decoys, probes } = planDecoys(vm.client, trap);
  const removeDecoys = vm.layDecoys(decoys);
  try {
    const findings: ProbeFinding[] = [];
    const all = [...listProbes(vm), ...probes.map((probe) => ({ ...probe, isExpectedOut: false }))];
    for (const { probe, target, isExpectedOut, run } of all) {
      onProgress(`${probe}: ${target}`);
      const startedMs = performance.now();
      const { isOut, detail, isUntried } = await run();
      const durationMs = Math.round(performance.now() - startedMs);
      // Without a network there are no decoys either.
      const isShown = isUntried !== true || vm.policy.mode === "none";
      findings.push({ probe, target, isOut, isExpected: isShown && isOut === isExpectedOut, detail, durationMs });
    }
    return findings;
  } finally {
    removeDecoys();
    trap.close();
  }
}

function listProbes({ client, policy, compiled, sets }: ProbedVm): Probe[] {
  const random = randomBytes(12).toString("hex");
  const address = (probe: string, host: string, port: number): Probe => ({
    probe,
    target: `${host} port ${port}`,
    isExpectedOut: false,
    run: () => connectFrom(client, host, port),
  });
  const name = (probe: string, text: string, type: "A" | "TXT" = "A"): Probe => ({
    probe,
    target: `${text} (${type})`,
    isExpectedOut: type === "A" && "name" in parseName(text) && decideName(compiled, text).isAllowed,
    run: () => ask(client, text, type),
  });
  const sample = sampleOf(policy, sets);
  return [
    ...(sample === undefined ? [] : probeAllowed(client, compiled, sample)),
    name("a name that nobody has", `${random}.firebreak.invalid`),
    name("data in a name", `${random.repeat(2)}.${random}.tunnel.invalid`, "TXT"),
    name("an address as a name", "127.0.0.1"),
    name("an address as one number", "2130706433"),
    {
      probe: "this host by name",
      target: "localhost port 22",
      isExpectedOut: decideConnection(compiled, "localhost", 22).isPrivateAllowed,
      run: () => reach(client, "localhost", 22),
    },
    address("an address without a name", "1.1.1.1", 443),
    address("an address of IPv6", "2606:4700:4700::1111", 443),
    address("another name server", "8.8.8.8", 53),
    address("cloud metadata", "169.254.169.254", 80),
    address("a private network", "10.0.0.1", 80),
    address("a private network", "192.168.1.1", 443),
    address("an address that stands for no name", "198.19.255.254", 443),
  ];
}

/** The first rule that names one host. */
function sampleOf(policy: EgressPolicy, sets: NamedSets): { name: string; port: number } | undefined {
  for (const rule of policy.allow ?? []) {
    const entries = parseRule(rule, sets, WEB_PORTS);
    if ("why" in entries) continue;
    const entry = entries.find(({ isWildcard }) => !isWildcard);
    if (entry !== undefined) return { name: entry.name, port: entry.ports.at(-1)?.[0] ?? 443 };
  }
  return undefined;
}

function probeAllowed(
  client: ProbeGuest,
  compiled: CompiledPolicy,
  { name, port }: { name: string; port: number },
): Probe[] {
  const forbidden = [65_000, 25, 6_000].find((candidate) => !decideConnection(compiled, name, candidate).isAllowed);
  return [
    {
      probe: "what the policy allows",
      target: `${name} port ${port}`,
      isExpectedOut: true,
      run: () => reach(client, name, port),
    },
    ...(forbidden === undefined
      ? []
      : [
          {
            probe: "another port of it",
            target: `${name} port ${forbidden}`,
            isExpectedOut: false,
            run: () => reach(client, name, forbidden),
          },
        ]),
  ];
}
