import { dashboardCodeSchema, dashboardLoginSchema, dashboardSessionSchema } from "../dashboard.ts";
import { json, jsonBody, nothing, type Route } from "./route.ts";

export const sessionRoutes: Route[] = [
  {
    method: "POST",
    path: "/v1/session/codes",
    summary: "Makes a code that opens one session of a browser, within five minutes",
    answer: json(dashboardCodeSchema, 201),
    isLocal: true,
  },
  {
    method: "POST",
    path: "/v1/session",
    summary:
      "Opens a session for a code or an API key, and sets its cookie; the one request over TCP that needs no key",
    body: jsonBody(dashboardLoginSchema),
    answer: json(dashboardSessionSchema, 201),
  },
  { method: "GET", path: "/v1/session", summary: "Who the caller is", answer: json(dashboardSessionSchema) },
  { method: "DELETE", path: "/v1/session", summary: "Ends the session that the request comes with", answer: nothing },
];
