import { hostInfoSchema, pricesSchema } from "../host.ts";
import { json, type Route } from "./route.ts";

export const hostRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/host",
    summary: "What the host has and what of it is free",
    answer: json(hostInfoSchema),
  },
  {
    method: "GET",
    path: "/v1/prices",
    summary: "What VMs are said to cost, from [prices] in $FIREBREAK_HOME/firebreak.toml",
    answer: json(pricesSchema),
  },
];
