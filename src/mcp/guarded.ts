import type { z } from "zod";
import { hasDoneNothing } from "../contract/call.ts";
import { digestOf } from "../contract/canonical-json.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { previewSchema } from "./controls.ts";
import type { AnyTool, Plan, PreparedCall, ToolContext, ToolOutput } from "./tool.ts";

type Preview = z.infer<typeof previewSchema>;

/** What is kept of a call with an idempotency key. */
type KeptAnswer = { output: ToolOutput<unknown> } | { error: Parameters<typeof FirebreakError.fromBody>[0] };

/** Carries a call out as its controls say: only planned, confirmed, once. */
export async function carryOut(tool: AnyTool, call: PreparedCall, context: ToolContext): Promise<ToolOutput<unknown>> {
  const { preview, idempotencyKey } = call.controls;
  if (preview) return tellPlan(tool, call, context);
  if (idempotencyKey === undefined) return act(tool, call, context);
  return once(tool, call, idempotencyKey, context);
}

async function act(tool: AnyTool, call: PreparedCall, context: ToolContext): Promise<ToolOutput<unknown>> {
  if (!call.needsConfirmation) return call.run(context);
  const { confirmToken: token } = call.controls;
  if (token === undefined) {
    throw new FirebreakError("CONFIRMATION_REQUIRED", `${tool.name} needs a confirm token, and has done nothing`, {
      hint: `Call it with preview: true; if its steps are what is wanted, call it again with the same arguments and the confirm_token of that answer.`,
    });
  }
  const plan = await call.plan(context);
  await context.client.confirmations.redeem({ token, ...bindingOf(tool, call, plan) }, { signal: context.signal });
  // What was looked at and no other: a name may stand for something else by now.
  return call.run(context, plan.pinned);
}

function bindingOf(tool: AnyTool, call: PreparedCall, plan: Plan) {
  return {
    tool: tool.name,
    argumentsDigest: digestOf(call.args),
    stateDigest: digestOf(plan.state),
  };
}

async function tellPlan(tool: AnyTool, call: PreparedCall, context: ToolContext): Promise<ToolOutput<unknown>> {
  const plan = await call.plan(context);
  const preview: Preview = { steps: plan.steps };
  if (call.needsConfirmation) {
    const { signal } = context;
    const given = await context.client.confirmations.create(bindingOf(tool, call, plan), { signal });
    Object.assign(preview, { confirm_token: given.token, expires_at: given.expiresAt });
  }
  const confirm =
    preview.confirm_token === undefined
      ? []
      : [
          `To do this, call ${tool.name} again with the same arguments and confirm_token: ${preview.confirm_token} (good once, until ${preview.expires_at}).`,
        ];
  return {
    structured: { preview },
    ...(plan.vm === undefined ? {} : { vm: plan.vm }),
    facts: ["preview", "nothing has been done"],
    text: [...(plan.steps.length === 0 ? ["There is nothing to do."] : plan.steps), ...confirm].join("\n"),
  };
}

/** Makes the call unless it has been made; its answer is kept by the daemon. */
async function once(
  tool: AnyTool,
  call: PreparedCall,
  key: string,
  context: ToolContext,
): Promise<ToolOutput<unknown>> {
  const { client, signal, onProgress } = context;
  const request = { key, tool: tool.name, argumentsDigest: digestOf(call.args) };
  const claim = await client.callClaim(request, { signal, onProgress });
  if ("answer" in claim) return replay(JSON.parse(claim.answer) as KeptAnswer);
  const keep = (answer: KeptAnswer) => claim.call.finish(JSON.stringify(answer));
  let output: ToolOutput<unknown>;
  try {
    output = await act(tool, call, context);
  } catch (thrown) {
    const error = toFirebreakError(thrown);
    // A daemon that has ended notes by itself that the call was cut off.
    const isOver = hasDoneNothing(error);
    await (isOver ? claim.call.release() : keep({ error: error.toBody() })).catch(() => {});
    throw error;
  }
  // It has been done: that the note of it failed is no failure of the call.
  await keep({ output }).catch(() => {});
  return output;
}

function replay(kept: KeptAnswer): ToolOutput<unknown> {
  if ("output" in kept) return { ...kept.output, facts: [...kept.output.facts, "as answered before"] };
  const error = FirebreakError.fromBody(kept.error);
  throw new FirebreakError(error.code, `the call with this idempotency key ended before with: ${error.message}`, {
    hint: "To try anew, call with a new idempotency_key.",
    cause: error,
  });
}
