import { z } from "zod";
import { resolveVm } from "../guest/resolve-vm.ts";
import { defineTool } from "../tool.ts";
import { pathArgument, vmArgument } from "../vm-argument.ts";
import { describeImage, imageNameArgument, imageViewSchema, toImageView } from "./image-view.ts";

export const imageImport = defineTool({
  name: "image_import",
  title: "Import an image from a VM",
  description:
    "Makes an image of a root file system in a VM: a directory, or a tar file (also .gz, .zst, .xz). It needs no init, no shell and no packages: whatever is to be run in it is enough. To import from this computer: firebreak image import.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({
    name: imageNameArgument.describe("The image's name."),
    vm: vmArgument,
    path: pathArgument.describe("Absolute path in the VM of the directory or tar file."),
  }),
  outputSchema: imageViewSchema,
  handler: async ({ name, vm: nameOrId, path }, context) => {
    const { client, signal, onProgress } = context;
    const vm = await resolveVm(nameOrId, context);
    const { type } = await client.files.stat(vm, path, { signal });
    const body =
      type === "directory"
        ? await client.files.readArchive(vm, path, { signal })
        : (await client.files.read(vm, path, {}, { signal })).body;
    const { image } = await client.images.import({ name, format: "rootfs" }, body, { signal, onProgress });
    return {
      structured: toImageView(image),
      vm,
      facts: [`image ${name}`, "imported"],
      text: describeImage(image),
    };
  },
});
