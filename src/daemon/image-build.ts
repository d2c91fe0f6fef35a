import path from "node:path";
import { Readable } from "node:stream";
import type { ImageBuildFile, ImageConfig } from "../contract/image.ts";
import { vmCreateSchema } from "../contract/vm.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";
import { type BuildContext, receiveContext } from "../images/build-context.ts";
import {
  type BuildStep,
  copyOperands,
  envPairs,
  invalidFile,
  parseBuildFile,
  singleWord,
} from "../images/build-file.ts";
import { hashText } from "../images/digest.ts";
import { checkImageName } from "../images/names.ts";
import { getImage, type Image } from "../images/store.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { BootSource, WorkOptions } from "../vms/ports.ts";
import { runCommand } from "../vms/run-command.ts";
import type { VmService } from "../vms/service.ts";

/** Of a command that fails, so much of its output is in the error. */
const TOLD_OUTPUT_BYTES = 2_000;
const MAX_MESSAGE = 160;
/** An identity that no VM keeps: each VM of the image gets its own. */
const PLACEHOLDER = { hostname: "firebreak", machineId: "0".repeat(32), isNewMachine: true } as const;

export interface ImageBuilderOptions {
  paths: FirebreakPaths;
  vms: VmService;
  source: BootSource;
}

/** A build between its instructions. */
interface BuildState {
  env: Record<string, string>;
  config: ImageConfig;
}

/** Builds images from build files: each instruction is done in a microVM, which is all that what is run in it can reach. */
export class ImageBuilder {
  readonly #options: ImageBuilderOptions;

  constructor(options: ImageBuilderOptions) {
    this.#options = options;
  }

  /**
   * Takes the context in; `use` is called when it is here, and its `finish` builds. Throws BUILD_FILE_INVALID, IMAGE_NOT_FOUND,
   * IMAGE_BUILD_FAILED; then no image has changed, and no VM is left.
   */
  async build<T>(
    request: ImageBuildFile,
    body: AsyncIterable<Buffer>,
    use: (finish: (options: WorkOptions) => Promise<Image>) => Promise<T>,
  ): Promise<T> {
    checkImageName(request.name);
    return receiveContext(this.#options.paths, body, async ({ context, store }) => {
      const text = await context.readText(request.file);
      const { from, steps } = parseBuildFile(text);
      if (context.has(".dockerignore"))
        throw new FirebreakError("BUILD_FILE_INVALID", "the context has a .dockerignore, which is not supported", {
          hint: "Name in COPY what is to be copied, or build from a folder that holds only that.",
        });
      return use(async (options) => {
        const { source, vms, paths } = this.#options;
        const base = await getImage(paths, (await source.resolveImage(from, options).catch(explainFrom(from))).digest);
        const { memoryMib, cpus, diskMib } = request;
        const wanted = vmCreateSchema.parse({ image: base.digest, memoryMib, cpus, diskMib });
        const vm = await vms.create(wanted, { ...options, ephemeral: true });
        const state: BuildState = { env: { ...base.env }, config: base.config ?? { entrypoint: [], cmd: [] } };
        try {
          for (const [index, step] of steps.entries()) {
            options.signal?.throwIfAborted();
            const message = `[${index + 1}/${steps.length}] ${step.kind.toUpperCase()} ${step.text}`;
            const report = (more = "") =>
              options.onProgress?.({
                step: "build",
                message: `${message}${more}`.slice(0, MAX_MESSAGE),
                fraction: index / steps.length,
              });
            report();
            await this.#run(vm.id, step, state, context, options, report);
          }
          options.onProgress?.({ step: "read", message: "reading the root file system" });
          return await vms.use(vm.id, options, async ({ client }) => {
            await client.personalise({ ...PLACEHOLDER, wallClockMs: Date.now() });
            await client.sync();
            const tar = watched(await client.readWhole("/"), options.signal);
            const recipeDigest = `sha256:${hashText(JSON.stringify(["build", base.digest, text]))}`;
            return store(request.name, { tar, arch: base.arch, ...state, recipeDigest }, options);
          });
        } finally {
          await vms.delete(vm.id);
        }
      });
    });
  }

  async #run(
    vm: string,
    step: BuildStep,
    state: BuildState,
    context: BuildContext,
    options: WorkOptions,
    report: (more: string) => void,
  ): Promise<void> {
    const lookup = (name: string) => state.env[name] ?? "";
    switch (step.kind) {
      case "env":
        for (const [name, value] of envPairs(step, lookup)) state.env[name] = value;
        return;
      case "user":
        state.config = { ...state.config, user: checkUser(step, singleWord(step, lookup)) };
        return;
      case "cmd":
        state.config = { ...state.config, cmd: step.argv };
        return;
      case "entrypoint":
        // As in a Dockerfile: the command of the image below was for its own entrypoint.
        state.config = { ...state.config, entrypoint: step.argv, cmd: [] };
        return;
      case "workdir": {
        const workingDir = path.posix.resolve(state.config.workingDir ?? "/", singleWord(step, lookup));
        await this.#options.vms.use(vm, options, ({ client }) => client.makeDirectory(workingDir, { parents: true }));
        state.config = { ...state.config, workingDir };
        return;
      }
      case "copy":
        return this.#options.vms.use(vm, options, ({ client }) => copyIn(client, step, state, context, lookup));
      case "run":
        return this.#options.vms.use(vm, options, ({ client }) => this.#exec(vm, client, step, state, options, report));
    }
  }

  async #exec(
    vm: string,
    client: GuestClient,
    step: BuildStep & { kind: "run" | "cmd" | "entrypoint" },
    { env, config }: BuildState,
    options: WorkOptions,
    report: (more: string) => void,
  ): Promise<void> {
    const { exit, tail } = await runCommand(
      {
        argv: step.argv,
        env,
        ...(config.workingDir === undefined ? {} : { cwd: config.workingDir }),
        ...(config.user === undefined ? {} : { user: config.user }),
      },
      {
        client,
        signal: options.signal,
        explainLoss: () => this.#options.vms.explainLoss(vm),
        onText: (text) => {
          const last = text.trimEnd().split("\n").at(-1)?.trim();
          if (last) report(`: ${last}`);
        },
        tailLength: TOLD_OUTPUT_BYTES,
      },
    ).catch((error: unknown) => {
      if (error instanceof FirebreakError && error.code === "COMMAND_NOT_FOUND" && step.argv[0] === "/bin/sh")
        throw failed(step, "the image has no /bin/sh; RUN takes a list in JSON, too", "");
      throw error;
    });
    if (exit?.exitCode === 0) return;
    throw failed(step, exit?.signal == null ? `exit code ${exit?.exitCode}` : `it was ended by ${exit.signal}`, tail);
  }
}

async function copyIn(
  client: GuestClient,
  step: BuildStep,
  { config }: BuildState,
  context: BuildContext,
  lookup: (name: string) => string,
): Promise<void> {
  const { sources, target } = copyOperands(step, lookup);
  const place = path.posix.resolve(config.workingDir ?? "/", target);
  const isFolder =
    target.endsWith("/") || /(^|\/)\.$/.test(target) || sources.length > 1 || (await isGuestDirectory(client, place));
  for (const source of sources) {
    const isTree = context.isDirectory(source);
    const name = isFolder ? path.posix.basename(source) : path.posix.basename(place);
    const folder = isTree || isFolder ? place : path.posix.dirname(place);
    // Checked before: a stream that fails breaks the channel's request, and its own reason is the better one.
    if (!isTree && !context.has(source))
      throw invalidFile(step.line, `there is no ${JSON.stringify(source)} in the context`);
    await client.writeArchive(folder, Readable.from(context.copy(source, name)));
  }
}

async function isGuestDirectory(client: GuestClient, place: string): Promise<boolean> {
  const found = await client.stat(place, true).catch((error: unknown) => {
    if (error instanceof FirebreakError && error.code === "FILE_NOT_FOUND") return undefined;
    throw error;
  });
  return found?.type === "directory";
}

function checkUser(step: BuildStep, user: string): string {
  if (/^[A-Za-z0-9._-]{1,64}(:[A-Za-z0-9._-]{1,64})?$/.test(user)) return user;
  throw invalidFile(step.line, `${JSON.stringify(user)} is neither a name nor a number`);
}

function explainFrom(from: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof FirebreakError) || error.code !== "IMAGE_NOT_FOUND") throw error;
    throw new FirebreakError("IMAGE_NOT_FOUND", `the build file's FROM: ${error.message}`, {
      hint: `Get it first: firebreak image pull ${from}`,
      cause: error,
    });
  };
}

function failed(step: BuildStep, why: string, tail: string): FirebreakError {
  const output = tail.trim() === "" ? "" : `; its output ends with: ${tail.trim()}`;
  return new FirebreakError(
    "IMAGE_BUILD_FAILED",
    `line ${step.line}, RUN ${step.text.slice(0, MAX_MESSAGE)}: ${why}${output}`,
    {
      hint: "The VM of a build has no network; what it needs is copied in.",
      details: { line: step.line },
    },
  );
}

async function* watched(source: Readable, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    signal?.throwIfAborted();
    yield chunk as Buffer;
  }
}
