import { z } from "zod";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { defineTool } from "../tool.ts";
import { vmArgument } from "../vm-argument.ts";
import { decodeBase64 } from "./bytes.ts";
import { execArgument } from "./exec-argument.ts";
import { feed } from "./feed.ts";
import { resolveVm } from "./resolve-vm.ts";

/** What a JSON message may hold beside it. */
const MAX_INPUT_CHARS = 1024 * 1024;
const DEFAULT_WAIT_MS = 5_000;

export const commandInput = defineTool({
  name: "command_input",
  title: "Write to a command's input",
  description:
    "Writes to the standard input of a command that run_command started in the background with keep_stdin; with eof, ends that input. accepted_bytes is how much of it the command has taken: less than was given when the command does not read.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  isLong: true,
  inputSchema: z.strictObject({
    vm: vmArgument,
    exec_id: execArgument,
    content: z.string().max(MAX_INPUT_CHARS).default("").describe("What to write."),
    encoding: z.enum(["text", "base64"]).default("text").describe("Of content."),
    eof: z.boolean().default(false).describe("End the input after that."),
    wait_ms: z.int().min(0).max(60_000).default(DEFAULT_WAIT_MS).describe("How long the command has to take it."),
  }),
  outputSchema: z.strictObject({ vm: z.string(), exec_id: z.string(), accepted_bytes: z.int(), eof: z.boolean() }),
  handler: async (args, context) => {
    const { exec_id, content, encoding, eof } = args;
    const bytes = encoding === "text" ? Buffer.from(content) : decodeBase64("command_input", content);
    if (bytes.length === 0 && !eof) {
      throw new FirebreakError("INVALID_ARGUMENT", "command_input: there is neither content nor eof");
    }
    const vm = await resolveVm(args.vm, context);
    const exec = await context.client.execs.get(vm, exec_id, { signal: context.signal });
    if (exec.state !== "running") {
      throw new FirebreakError("EXEC_STATE_CONFLICT", `the command ${exec_id} has ended`, {
        hint: "command_status tells how.",
      });
    }
    const accepted = await feed(vm, exec_id, bytes, { eof, deadlineMs: args.wait_ms }, context);
    return {
      structured: { vm, exec_id, accepted_bytes: accepted, eof },
      vm,
      facts: [`exec ${exec_id}`, `${accepted} of ${bytes.length} bytes taken`, ...(eof ? ["input ended"] : [])],
    };
  },
});
