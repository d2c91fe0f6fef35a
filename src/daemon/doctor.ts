import type { DoctorCheck } from "../contract/daemon.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { VmmDriver } from "../vmm/driver.ts";
import type { VmService } from "../vms/service.ts";

export interface DoctorOptions {
  paths: FirebreakPaths;
  driver: VmmDriver;
  vms: VmService;
  programs: { program: string; debianPackage: string; why: string; isOptional?: boolean }[];
  findProgram: (name: string) => Promise<string | undefined>;
  /** Folders and processes that no VM owns. */
  findStrays: () => Promise<string[]>;
  images: () => Promise<{ name: string }[]>;
  accel: () => Promise<{ accel: string; reason?: string } | undefined>;
  agentPath: string;
  exists: (path: string) => boolean;
  freeBytes: (path: string) => Promise<number>;
}

/** What only `vm ssh` and ssh-config run; everything else works without. */
export const SSH_REQUIREMENT = {
  program: "ssh",
  debianPackage: "openssh-client",
  why: "vm ssh and ssh-config need it",
  isOptional: true,
} as const;

const LOW_DISK_BYTES = 2 * 1024 ** 3;

/** Looks at what firebreak needs of this host, one check a line. */
export async function runDoctor(options: DoctorOptions): Promise<DoctorCheck[]> {
  const checks: DoctorCheck[] = [];
  const add = (name: string, ok: boolean, message: string, hint?: string) =>
    checks.push({ name, ok, message, ...(ok || hint === undefined ? {} : { hint }) });

  await options.driver.version().then(
    (version) => add("qemu", true, `QEMU ${version}`),
    (error: unknown) =>
      add("qemu", false, String((error as Error).message), error instanceof FirebreakError ? error.hint : undefined),
  );
  for (const { program, debianPackage, why, isOptional } of options.programs) {
    const found = await options.findProgram(program);
    add(
      program,
      found !== undefined,
      found === undefined ? `missing: ${why}` : found,
      `apt-get install ${debianPackage}`,
    );
    if (isOptional) Object.assign(checks.at(-1) as DoctorCheck, { optional: true });
  }
  const hasAgent = options.exists(options.agentPath);
  add("guest agent", hasAgent, hasAgent ? options.agentPath : "not built", "Run 'make setup'.");
  const images = await options.images();
  add(
    "images",
    images.length > 0,
    images.length > 0 ? images.map((image) => image.name).join(", ") : "none built yet",
    "firebreak image build debian",
  );
  const verdict = await options.accel().catch(() => undefined);
  if (verdict !== undefined) {
    const text = verdict.accel === "kvm" ? "KVM works" : `emulation (TCG): ${verdict.reason}`;
    checks.push({ name: "accelerator", ok: true, message: text });
  }
  const free = await options.freeBytes(options.paths.home);
  add(
    "disk",
    free > LOW_DISK_BYTES,
    `${Math.round(free / 1024 ** 2)} MiB free at ${options.paths.home}`,
    "Free some space: a VM's disk grows as it is written.",
  );
  const strays = await options.findStrays();
  add(
    "left-overs",
    strays.length === 0,
    strays.length === 0 ? "none" : strays.join(", "),
    "Remove them: firebreak doctor --fix",
  );
  return checks;
}
