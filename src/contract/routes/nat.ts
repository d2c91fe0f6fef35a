import { natSetupSchema, natStatusSchema } from "../nat.ts";
import { json, jsonBody, type Route } from "./route.ts";

export const natRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/network",
    summary: "What this host has been set up with for VMs with a network card, and whether it is as it should be",
    answer: json(natStatusSchema),
  },
  {
    method: "PUT",
    path: "/v1/network",
    summary: "Sets this host up for VMs with a network card: a bridge, packet forwarding, a table of nftables",
    body: jsonBody(natSetupSchema),
    answer: json(natStatusSchema),
    isLocal: true,
  },
  {
    method: "DELETE",
    path: "/v1/network",
    summary: "Takes back what this host has been set up with for network cards",
    answer: json(natStatusSchema),
    isLocal: true,
  },
];
