import type { Readable } from "node:stream";
import type { KernelInfo } from "../../../src/contract/daemon.ts";
import type { ImageInfo } from "../../../src/contract/image.ts";
import { FirebreakError } from "../../../src/errors/firebreak-error.ts";
import type { VmClient } from "../../../src/mcp/vm-client.ts";
import { type FakeWorld, fail, fakeImage } from "./world.ts";

export function createFakeImages(world: FakeWorld): VmClient["images"] {
  const find = (name: string) =>
    world.images.find((image) => image.tags.includes(name) || image.digest === name) ??
    fail(new FirebreakError("IMAGE_NOT_FOUND", `no image is called ${JSON.stringify(name)}`));
  const addOf = async (name: string, recipe: string, sent: Readable) => {
    for await (const chunk of sent as AsyncIterable<Buffer>) world.contexts.push(chunk);
    const image = { ...fakeImage(name), recipe };
    world.images.push(image);
    return { image, isUpToDate: false, warnings: [] };
  };
  return {
    list: async () => world.images,
    listing: async () => ({ images: world.images, making: world.making }),
    get: async (name) => find(name),
    build: async (name) => ({ image: fakeImage(name), isUpToDate: false, warnings: [] }),
    pull: async ({ reference, name = reference }) => {
      const source = { reference, digest: `sha256:${"0".repeat(64)}` };
      const image = { ...fakeImage(name), recipe: "pull", source };
      world.images.push(image);
      return { image, isUpToDate: false, warnings: ["something is left out"] };
    },
    push: async (name, { reference }) => {
      const digest = `sha256:${"1".repeat(64)}`;
      return { image: await find(name), reference, digest, layerBytes: 10 };
    },
    buildFile: ({ name }, context) => addOf(name, "build", context),
    import: ({ name = "imported" }, archive) => addOf(name, "import", archive),
    untag: async (name) => {
      const image = find(name);
      image.tags = image.tags.filter((tag) => tag !== name);
      return image;
    },
    tag: async (name, tag) => {
      const image = find(name);
      image.tags.push(tag);
      return image;
    },
    delete: async (name, force) => {
      const image = find(name);
      if (image.usedBy.length > 0 && !force) throw new FirebreakError("IMAGE_IN_USE", `the image ${name} is in use`);
      world.images = world.images.filter((candidate) => candidate !== image);
      return toDeleted(image);
    },
    prune: async ({ all = false, dryRun = false }) => {
      const images = world.images.filter((image) => all || image.tags.length === 0);
      if (!dryRun) world.images = world.images.filter((image) => !images.includes(image));
      return { images: images.map(toDeleted), freedBytes: 1000 * images.length, isDryRun: dryRun };
    },
  };
}

function toDeleted({ name, digest, tags, sizeBytes, usedBy }: ImageInfo) {
  return { deleted: name, digest, tags, templates: usedBy.map(({ id }) => id), freedBytes: sizeBytes };
}

export function createFakeKernels(world: FakeWorld): VmClient["kernels"] {
  const find = (id: string) =>
    world.kernels.find((kernel) => kernel.id === id) ?? fail(new FirebreakError("KERNEL_NOT_FOUND", "no kernel"));
  return {
    list: async () => world.kernels,
    use: async (id) => {
      for (const kernel of world.kernels) kernel.isCurrent = kernel.id === id;
      return find(id);
    },
    get: async (id) => find(id),
    delete: async (id) => {
      world.kernels = world.kernels.filter((kernel) => kernel.id !== id);
      return { deleted: id };
    },
    build: async () => ({ kernel: world.kernels.at(-1) as KernelInfo, isUpToDate: true }),
    verify: async () => world.kernels[0] as KernelInfo,
  };
}
