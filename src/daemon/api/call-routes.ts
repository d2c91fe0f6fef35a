import {
  answerSchema,
  CALL_CLAIMED,
  type CallRequest,
  type Confirmation,
  type ConfirmationRequest,
  callSchema,
  confirmationSchema,
  MAX_ANSWER_CHARS,
  type RedeemRequest,
  redeemSchema,
} from "../../contract/call.ts";
import { type Api, readJson } from "./context.ts";
import { answerProgress, parseRequest } from "./responses.ts";

export interface CallDeps {
  confirmations: {
    create(request: ConfirmationRequest): Confirmation;
    /** Throws CONFIRMATION_*. */
    redeem(request: RedeemRequest): void;
  };
  calls: {
    claim(request: CallRequest, signal: AbortSignal, onWait: () => void): Promise<{ id: string } | { answer: string }>;
    waitForEnd(id: string): Promise<string | undefined>;
    finish(id: string, answer: string | undefined): void;
    release(id: string): void;
    lose(id: string): void;
  };
}

/** An answer's JSON may take six bytes for a character. */
const MAX_ANSWER_BODY_BYTES = 6 * MAX_ANSWER_CHARS;

/** Confirm tokens and idempotency keys of those who make calls for others, such as MCP servers. */
export function addCallRoutes(api: Api, { confirmations, calls }: CallDeps): void {
  api.post("/v1/confirmations", async (context) =>
    context.json(confirmations.create(parseRequest(confirmationSchema, await readJson(context)))),
  );
  api.post("/v1/confirmations/redeem", async (context) => {
    confirmations.redeem(parseRequest(redeemSchema, await readJson(context)));
    return context.json({ redeemed: true });
  });
  // Open for as long as the call is under way: a caller that dies is heard of at once, by the connection's end.
  api.post("/v1/calls", async (context) => {
    const request = parseRequest(callSchema, await readJson(context));
    const { caller } = context.env;
    // Nobody hears the answer of another's call.
    const key = caller.via === "socket" ? request.key : `${caller.key.id} ${request.key}`;
    return answerProgress(context, async ({ onProgress, signal }) => {
      const onWait = () => onProgress({ step: "wait", message: "waiting for the same call, which is under way" });
      const claim = await calls.claim({ ...request, key }, signal, onWait);
      if ("answer" in claim) return claim;
      signal.addEventListener("abort", () => calls.lose(claim.id), { once: true });
      if (signal.aborted) calls.lose(claim.id);
      onProgress({ step: CALL_CLAIMED, message: claim.id });
      const answer = await calls.waitForEnd(claim.id);
      return answer === undefined ? {} : { answer };
    });
  });
  api.put("/v1/calls/:id", async (context) => {
    const { answer } = parseRequest(answerSchema, await readJson(context, MAX_ANSWER_BODY_BYTES));
    calls.finish(context.req.param("id"), answer);
    return context.body(null, 204);
  });
  api.delete("/v1/calls/:id", (context) => {
    calls.release(context.req.param("id"));
    return context.body(null, 204);
  });
}
