import { z } from "zod";
import { artifactNameSchema } from "../../contract/artifact.ts";
import { resolveVm } from "../guest/resolve-vm.ts";
import { defineTool } from "../tool.ts";
import { pathArgument, vmArgument } from "../vm-argument.ts";
import { artifactViewSchema, describeArtifact, toArtifactView } from "./artifact-view.ts";

export const artifactCreate = defineTool({
  name: "artifact_create",
  title: "Keep a file of a VM",
  description:
    "Keeps a file of a VM, or a directory as a tar, in firebreak's own store, where it stays when the VM is deleted. Use it for results that are wanted later (artifact_get).",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({
    vm: vmArgument,
    path: pathArgument,
    name: artifactNameSchema.optional().describe("That of the file when absent, with a number when it is taken."),
  }),
  outputSchema: artifactViewSchema,
  handler: async (args, context) => {
    const { client, signal, onProgress } = context;
    const vm = await resolveVm(args.vm, context);
    const request = { path: args.path, ...(args.name === undefined ? {} : { name: args.name }) };
    const artifact = await client.artifacts.create(vm, request, { signal, onProgress });
    return {
      structured: toArtifactView(artifact),
      vm,
      facts: [`artifact ${artifact.name}`, `${artifact.sizeBytes} bytes`],
      text: describeArtifact(artifact),
    };
  },
});
