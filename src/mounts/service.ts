import { createHash } from "node:crypto";
import type { VmMount } from "../contract/mount.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { GUEST_FEATURES } from "../guest/protocol.ts";
import type { MountHooks, MountLink, VmMounts } from "../vms/ports.ts";
import { resolveHostPath } from "./host-path.ts";
import { type ServedMount, serveMount } from "./serve.ts";
import { FileThread } from "./thread.ts";

export interface MountServiceOptions {
  /** Firebreak's own, which no guest sees. */
  ownFolders: readonly string[];
  log: (message: string, fields: Record<string, unknown>) => void;
}

/** The mounts of all VMs: what is in a VM's record is served for as long as the VM is held. */
export class MountService implements MountHooks {
  readonly #options: MountServiceOptions;
  readonly #thread = new FileThread();
  /** By VM: reasons by guest path. */
  readonly #problems = new Map<string, Map<string, string>>();

  constructor(options: MountServiceOptions) {
    this.#options = options;
  }

  resolve(mounts: readonly VmMount[]): Promise<VmMount[]> {
    return Promise.all(
      mounts.map(async (mount) => ({
        ...mount,
        hostPath: await resolveHostPath(mount.hostPath, this.#options.ownFolders),
      })),
    );
  }

  async begin(vm: VmMounts, link: MountLink): Promise<void> {
    if (!link.features.includes(GUEST_FEATURES.mounts)) {
      if (vm.mounts.length === 0) return;
      throw new FirebreakError("GUEST_FEATURE_MISSING", `the VM '${vm.name}' is too old to see this host's files`, {
        hint: "Its kernel or agent is of an earlier firebreak. Run 'firebreak kernel use stock', then create a VM anew.",
      });
    }
    await refuseOthers(vm, link);
    // One after another: one may lie in another.
    for (const mount of vm.mounts) await this.#serve(vm, mount, link).attached;
  }

  resume(vm: VmMounts, link: MountLink): void {
    for (const mount of vm.mounts) this.#serve(vm, mount, link);
  }

  problemsOf(vmId: string): ReadonlyMap<string, string> {
    return this.#problems.get(vmId) ?? new Map();
  }

  #serve(vm: VmMounts, mount: VmMount, { client, signal }: MountLink): ServedMount {
    const { guestPath } = mount;
    const problems = this.#problems.get(vm.id) ?? new Map<string, string>();
    this.#problems.set(vm.id, problems);
    problems.delete(guestPath);
    const served = serveMount(client, {
      ...mount,
      id: mountId(guestPath),
      signal,
      thread: this.#thread,
      onAttached: () => problems.delete(guestPath),
      onFailure: (error) => {
        problems.set(guestPath, error.message);
        this.#options.log("a mount is not served", { vm: vm.name, guestPath, error: error.message });
      },
    });
    void served.ended.then(() => {
      if (signal.aborted) problems.delete(guestPath);
      else problems.set(guestPath, "it was unmounted in the guest; it comes back with the next start");
      if (signal.aborted && problems.size === 0 && this.#problems.get(vm.id) === problems) this.#problems.delete(vm.id);
    });
    return served;
  }

  /** VMs have been let go of before. */
  async close(): Promise<void> {
    await this.#thread.close();
  }
}

/** The same for every VM: a fork that is given a mount at that path goes on with the one that it was saved with. */
export function mountId(guestPath: string): string {
  return `m-${createHash("sha256").update(guestPath).digest("hex").slice(0, 16)}`;
}

/** What a fork was saved with is none of its own. */
async function refuseOthers(vm: VmMounts, { client }: MountLink): Promise<void> {
  const own = new Set(vm.mounts.map(({ guestPath }) => mountId(guestPath)));
  for (const { id } of await client.mountList()) if (!own.has(id)) await client.mountRefuse(id);
}
