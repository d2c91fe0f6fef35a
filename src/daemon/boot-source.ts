import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { buildImage, listRecipes } from "../images/build.ts";
import { ensureInitrd } from "../images/initrd.ts";
import { ensureKernel } from "../images/kernel.ts";
import { getKernelById, type Kernel } from "../images/kernel-store.ts";
import { BOOT_EXTRAS } from "../images/modules.ts";
import { findImage, getImage, verifyImage } from "../images/store.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { Manifest } from "../snapshots/manifest.ts";
import type { TemplateSpec } from "../snapshots/templates.ts";
import type { BootSource, ImageRef, KernelRef, WorkOptions } from "../vms/ports.ts";

/** The images folder behind the ports of `vms` and the API. */
export class ImageLibrary implements BootSource {
  readonly #paths: FirebreakPaths;
  readonly #agentPath: string;
  /** By kernel and state of the agent's file. */
  readonly #initrds = new Map<string, string>();

  constructor(paths: FirebreakPaths, agentPath: string) {
    this.#paths = paths;
    this.#agentPath = agentPath;
  }

  async resolveImage(nameOrDigest: string, options: WorkOptions): Promise<ImageRef> {
    const found = await findImage(this.#paths, nameOrDigest);
    const canBuild = found === undefined && listRecipes().includes(nameOrDigest);
    const image = canBuild
      ? (await buildImage(this.#paths, nameOrDigest, options)).image
      : await getImage(this.#paths, nameOrDigest);
    await verifyImage(image, { deep: false });
    return {
      name: image.tags.includes(nameOrDigest) ? nameOrDigest : image.name,
      digest: image.digest,
      rootfsPath: image.rootfsPath,
      env: image.env,
    };
  }

  async resolveKernel(options: WorkOptions): Promise<KernelRef> {
    return this.#toRef(await ensureKernel(this.#paths, options));
  }

  async getKernel(kernelId: string): Promise<KernelRef> {
    const kernel = await getKernelById(this.#paths, kernelId);
    if (kernel === undefined)
      throw new FirebreakError("KERNEL_CORRUPT", `the kernel ${kernelId} is gone`, { hint: "Create the VM again." });
    return this.#toRef(kernel);
  }

  /** What a template like this one would be made of today; undefined when its image is gone. */
  async templateSpec(manifest: Manifest): Promise<TemplateSpec | undefined> {
    const image = await this.resolveImage(manifest.imageDigest, {}).catch(() => undefined);
    if (image === undefined) return undefined;
    return { image, kernel: await this.resolveKernel({}), ...manifest.machine };
  }

  async #toRef(kernel: Kernel): Promise<KernelRef> {
    return {
      kernelId: kernel.id,
      kernelPath: kernel.imagePath,
      initrdPath: await this.#initrdPath(kernel),
      kernelArgs: kernel.kernelArgs,
    };
  }

  /** Every VM asks, and making an initrd to see that it is the same takes 20 ms: it is made anew only when the agent's file is another. */
  async #initrdPath(kernel: Kernel): Promise<string> {
    const agent = await stat(this.#agentPath, { bigint: true }).catch(() => undefined);
    const key = `${kernel.id} ${agent?.ino} ${agent?.size} ${agent?.mtimeNs}`;
    const known = this.#initrds.get(key);
    if (known !== undefined && existsSync(known)) return known;
    const { path } = await ensureInitrd(this.#paths, kernel, this.#agentPath, {
      modules: BOOT_EXTRAS.filter((name) => kernel.optionalModules[name] !== undefined),
    });
    this.#initrds.set(key, path);
    return path;
  }
}
