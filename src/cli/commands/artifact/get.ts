import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import type { Artifact } from "../../../contract/artifact.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { openContext } from "../../context.ts";
import { printJson } from "../../output.ts";

export function addArtifactGet(parent: Command): void {
  const command = parent
    .command("get")
    .summary("write an artifact to stdout, or to a file")
    .description(
      "Write an artifact's bytes to stdout, or to a file; with --json, what is known of it. A directory is a tar. What a VM made may be anything: read it before you run or unpack it.",
    )
    .argument("<artifact>", "name or id")
    .option("-o, --output <file>", "write it there instead, whole or not at all")
    .action(async (name: string, options: { output?: string }) => {
      const { client, asJson } = await openContext(command);
      const artifact = await client.artifacts.get(name);
      if (asJson && options.output === undefined) return printJson(artifact);
      if (options.output === undefined && process.stdout.isTTY && !artifact.mediaType.startsWith("text/"))
        throw new FirebreakError(
          "INVALID_ARGUMENT",
          `'${artifact.name}' is ${artifact.mediaType}, not for a terminal`,
          {
            hint: "Write it to a file: --output FILE",
          },
        );
      const body = await client.artifacts.read(artifact.id);
      if (options.output === undefined) {
        await pipeline(body, checked(artifact), process.stdout, { end: false });
        return;
      }
      const temporary = `${options.output}.firebreak-${process.pid}`;
      try {
        await pipeline(body, checked(artifact), createWriteStream(temporary, { flags: "wx" }));
        await rename(temporary, options.output);
      } catch (error) {
        await rm(temporary, { force: true });
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        throw new FirebreakError("HOST_PATH_NOT_FOUND", `the directory of ${options.output} does not exist`);
      }
      if (asJson) printJson(artifact);
    });
}

/** Passes the bytes on, and fails at their end when they are not those that were kept. */
function checked(artifact: Artifact): Transform {
  const hash = createHash("sha256");
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      const isWhole = `sha256:${hash.digest("hex")}` === artifact.digest;
      done(isWhole ? null : new FirebreakError("ARTIFACT_CORRUPT", `'${artifact.name}' is not what was kept`));
    },
  });
}
