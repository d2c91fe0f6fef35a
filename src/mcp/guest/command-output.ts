import { z } from "zod";
import type { ExecExit } from "../../guest/protocol.ts";
import { defineTool, type ToolContext } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { countTrailingPart, encodeBytes } from "./bytes.ts";
import { execArgument } from "./exec-argument.ts";
import { resolveVm } from "./resolve-vm.ts";

const DEFAULT_BYTES = 64 * 1024;
const MAX_BYTES = 1024 * 1024;
const MAX_WAIT_MS = 600_000;

const encodingSchema = z.enum(["text", "base64"]);

export const commandOutput = defineTool({
  name: "command_output",
  title: "Read a command's output",
  description: [
    "Reads what a command in a VM has written, from an offset on; call again with next_offset for what comes after.",
    "Offsets count stdout and stderr together. With wait_ms the call waits for output, or the command's end, when there is none yet.",
    "The VM keeps the newest output of each command: what it no longer has is counted in skipped_bytes.",
  ].join(" "),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({
    vm: vmArgument,
    exec_id: execArgument,
    offset: z.int().min(0).default(0).describe("First byte to read; next_offset of the answer before."),
    max_bytes: z.int().min(16).max(MAX_BYTES).default(DEFAULT_BYTES).describe("Most bytes to read."),
    wait_ms: z.int().min(0).max(MAX_WAIT_MS).default(0).describe("How long to wait for output."),
  }),
  outputSchema: z.strictObject({
    vm: z.string(),
    exec_id: z.string(),
    state: z.enum(["running", "exited", "signaled", "timed_out"]),
    exit_code: z.int().optional(),
    signal: z.string().optional(),
    stdout: z.string(),
    stdout_encoding: encodingSchema,
    stderr: z.string(),
    stderr_encoding: encodingSchema,
    offset: z.int(),
    next_offset: z.int(),
    skipped_bytes: z.int().describe("Lost between offset and next_offset."),
    more: z.boolean().describe("There is more to be read at once."),
  }),
  handler: async (args, context) => {
    const vm = await resolveVm(args.vm, context);
    const { exec_id, offset, max_bytes, wait_ms } = args;
    const isEmpty = async () => (await context.client.execs.get(vm, exec_id, context)).outputBytes <= offset;
    const waitMs = wait_ms > 0 && (await isEmpty()) ? wait_ms : 0;
    const read = await readOutput(vm, exec_id, { offset, maxBytes: max_bytes, waitMs }, context);
    const [stdout, stderr] = [encodeBytes(read.stdout), encodeBytes(read.stderr)];
    const state = stateOf(read.exit);
    const parts = [stdout.content, stderr.content === "" ? "" : `[stderr]\n${stderr.content}`];
    if (read.skippedBytes > 0) parts.unshift(`[${read.skippedBytes} bytes are not kept any more]`);
    const next = read.isMore ? "more is there" : state === "running" ? "more may come" : "all read";
    return {
      structured: {
        vm,
        exec_id,
        state,
        ...(read.exit?.exitCode === undefined || read.exit.exitCode === null ? {} : { exit_code: read.exit.exitCode }),
        ...(read.exit?.signal === undefined || read.exit.signal === null ? {} : { signal: read.exit.signal }),
        stdout: stdout.content,
        stdout_encoding: stdout.encoding,
        stderr: stderr.content,
        stderr_encoding: stderr.encoding,
        offset,
        next_offset: read.nextOffset,
        skipped_bytes: read.skippedBytes,
        more: read.isMore,
      },
      vm,
      facts: [`exec ${exec_id}`, state, `${next} from ${read.nextOffset}`],
      text: parts.filter((part) => part !== "").join("\n"),
    };
  },
});

function stateOf(exit: ExecExit | undefined): "running" | "exited" | "signaled" | "timed_out" {
  if (exit === undefined) return "running";
  if (exit.timedOut) return "timed_out";
  return exit.exitCode === null ? "signaled" : "exited";
}

interface ReadOutput {
  stdout: Buffer;
  stderr: Buffer;
  nextOffset: number;
  skippedBytes: number;
  isMore: boolean;
  /** Set only when all output before it has been read. */
  exit: ExecExit | undefined;
}

async function readOutput(
  vm: string,
  id: string,
  { offset, maxBytes, waitMs }: { offset: number; maxBytes: number; waitMs: number },
  { client, signal, onProgress }: ToolContext,
): Promise<ReadOutput> {
  const exec = await client.execs.attach(vm, id, offset, waitMs > 0, { signal, onProgress });
  const chunks: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  let [readBytes, skippedBytes] = [0, 0];
  let isMore = false;
  let isOver = false;
  // Whoever waits gets what comes first; the rest is for the next call.
  const timer = setTimeout(() => stop(), waitMs > 0 ? waitMs : 2 ** 31 - 1);
  const stop = () => {
    isOver = true;
    exec.close();
  };
  try {
    for await (const output of exec.output()) {
      if (output.type === "skipped") {
        skippedBytes += output.bytes;
        continue;
      }
      const room = maxBytes - readBytes;
      const part = output.bytes.subarray(0, room);
      chunks[output.type].push(part);
      readBytes += part.length;
      if (output.bytes.length > room || readBytes === maxBytes) {
        isMore = true;
        // A character that is cut apart by the page's end is the next page's.
        const cut = countTrailingPart(part);
        if (cut > 0 && cut < part.length) {
          chunks[output.type].push((chunks[output.type].pop() as Buffer).subarray(0, part.length - cut));
          readBytes -= cut;
        }
        break;
      }
      if (waitMs > 0) break;
    }
  } catch (error) {
    // Our own hanging up, once the time to wait is over.
    if (!isOver || signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
    exec.close();
  }
  return {
    stdout: Buffer.concat(chunks.stdout),
    stderr: Buffer.concat(chunks.stderr),
    nextOffset: offset + skippedBytes + readBytes,
    skippedBytes,
    isMore,
    exit: exec.exit,
  };
}
