import { z } from "zod";
import { answerSchema, callSchema, confirmationSchema, confirmTokenSchema, redeemSchema } from "../call.ts";
import { json, jsonBody, lines, nothing, type Route } from "./route.ts";

export const callRoutes: Route[] = [
  {
    method: "POST",
    path: "/v1/confirmations",
    summary: "A confirm token for a call, bound to its arguments and to the state that its plan was made from",
    body: jsonBody(confirmationSchema),
    answer: json(confirmTokenSchema),
  },
  {
    method: "POST",
    path: "/v1/confirmations/redeem",
    summary: "Uses a confirm token up, if it is good for the call",
    body: jsonBody(redeemSchema),
    answer: json(z.object({ redeemed: z.literal(true) })),
  },
  {
    method: "POST",
    path: "/v1/calls",
    summary:
      "Claims the call that an idempotency key stands for (progress `claimed` has its id), or waits for its answer",
    body: jsonBody(callSchema),
    answer: lines(z.object({ answer: z.string().optional() })),
  },
  {
    method: "PUT",
    path: "/v1/calls/:id",
    summary: "Keeps the answer of a claimed call, for whoever makes the same call again",
    body: jsonBody(answerSchema),
    answer: nothing,
  },
  {
    method: "DELETE",
    path: "/v1/calls/:id",
    summary: "Gives a claimed call up: nothing has been done, and its key is free again",
    answer: nothing,
  },
];
