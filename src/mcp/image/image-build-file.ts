import { Readable } from "node:stream";
import { z } from "zod";
import { TAR_END, tarPadding } from "../../archive/tar-format.ts";
import { tarHead } from "../../archive/tar-writer.ts";
import { defineTool } from "../tool.ts";
import { describeImage, imageNameArgument, imageViewSchema, toImageView } from "./image-view.ts";

const BUILD_FILE = ".build-file";

export const imageBuildFile = defineTool({
  name: "image_build_file",
  title: "Build an image from a build file",
  description:
    "Builds an image from a build file: a Dockerfile of FROM (an image that is here), RUN, COPY, ENV, WORKDIR, USER, ENTRYPOINT and CMD. Its instructions are done in a microVM without a network. COPY copies from `files`.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({
    name: imageNameArgument.describe("The image's name."),
    build_file: z
      .string()
      .min(1)
      .max(256 * 1024)
      .describe("The text of the build file."),
    files: z
      .array(
        z.strictObject({
          path: z
            .string()
            .max(1000)
            .regex(
              /^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/,
              "a relative path of letters, digits, '.', '_' and '-'",
            ),
          text: z.string(),
          executable: z.boolean().default(false),
        }),
      )
      .max(1000)
      .default([])
      .describe("What COPY can copy: relative paths, and the files' text."),
  }),
  outputSchema: imageViewSchema,
  handler: async (args, { client, signal, onProgress }) => {
    const files = [{ path: BUILD_FILE, text: args.build_file, executable: false }, ...args.files];
    const context = Readable.from([Buffer.concat([...files.flatMap(toTar), TAR_END])]);
    const request = { name: args.name, file: BUILD_FILE };
    const { image } = await client.images.buildFile(request, context, { signal, onProgress });
    return { structured: toImageView(image), facts: [`image ${image.name}`, "built"], text: describeImage(image) };
  },
});

function toTar({ path, text, executable }: { path: string; text: string; executable: boolean }): Buffer[] {
  const bytes = Buffer.from(text);
  const mode = executable ? 0o755 : 0o644;
  const head = tarHead({ path: Buffer.from(path), type: "file", mode, mtimeMs: 0, sizeBytes: bytes.length });
  return [head, bytes, tarPadding(bytes.length)];
}
