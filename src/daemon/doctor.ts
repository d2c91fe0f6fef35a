import type { DoctorCheck } from "../contract/daemon.ts";
import type { DriverRequest } from "../contract/vm.ts";
import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { BootFiles } from "../vmm/driver.ts";
import type { VmmDrivers } from "../vmm/drivers.ts";
import type { VmService } from "../vms/service.ts";

export interface DoctorOptions {
  paths: FirebreakPaths;
  drivers: VmmDrivers;
  defaultDriver: () => DriverRequest;
  vms: VmService;
  programs: { program: string; debianPackage: string; why: string; isOptional?: boolean }[];
  findProgram: (name: string) => Promise<string | undefined>;
  /** Folders and processes that no VM owns. */
  findStrays: () => Promise<string[]>;
  images: () => Promise<{ name: string }[]>;
  kernel: () => Promise<BootFiles>;
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

/** Which VMMs are there, and can start. Any one is enough. */
async function checkDrivers({ drivers }: DoctorOptions): Promise<DoctorCheck[]> {
  const found = await Promise.all(
    drivers.all.map(async (driver) => {
      const { name } = driver;
      try {
        await driver.check();
        return { name, ok: true, message: `${name} ${await driver.version()}` };
      } catch (error) {
        const { message, hint } = toFirebreakError(error);
        return { name, ok: false, message, ...(hint === undefined ? {} : { hint }) };
      }
    }),
  );
  const isEnough = found.some(({ ok }) => ok);
  return found.map((check) => (isEnough && !check.ok ? { ...check, optional: true } : check));
}

/** Which VMM a VM gets that says none, and which accelerator, each with why. */
async function checkChoice({ drivers, defaultDriver, kernel }: DoctorOptions): Promise<DoctorCheck[]> {
  const asked = defaultDriver();
  try {
    const boot = await kernel().catch(() => undefined);
    // What is missing for it is told of by its own check.
    if (boot === undefined) return [];
    const { driver, reason } = await drivers.choose({ driver: asked, accel: "auto", hasVolumes: false, boot });
    const why =
      reason ?? (asked === "auto" ? "KVM works, and it is there" : "it is what [vms] or FIREBREAK_DRIVER says");
    const verdict = await driver.chooseAccel("auto", boot);
    const accel = verdict.accel === "kvm" ? "KVM works" : `emulation (TCG): ${verdict.reason}`;
    return [
      { name: "driver", ok: true, message: `new VMs have ${driver.name}: ${why}` },
      { name: "accelerator", ok: true, message: accel },
    ];
  } catch (error) {
    const { message, hint } = toFirebreakError(error);
    return [{ name: "driver", ok: false, message, ...(hint === undefined ? {} : { hint }) }];
  }
}

/** Looks at what firebreak needs of this host, one check a line. */
export async function runDoctor(options: DoctorOptions): Promise<DoctorCheck[]> {
  const checks: DoctorCheck[] = [];
  const add = (name: string, ok: boolean, message: string, hint?: string) =>
    checks.push({ name, ok, message, ...(ok || hint === undefined ? {} : { hint }) });

  checks.push(...(await checkDrivers(options)));
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
  checks.push(...(await checkChoice(options)));
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
