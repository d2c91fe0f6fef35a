import { z } from "zod";
import { TASK_STATES, taskCreateSchema, taskResultFileSchema, taskSchema } from "../task.ts";
import { usageBySchema, usageSchema } from "../usage.ts";
import { count, deletedSchema, flag, json, jsonBody, type Route } from "./route.ts";

export const agentSchema = z.object({
  name: z.string(),
  title: z.string(),
  version: z.string().optional().describe("of its program; absent for what is in the image"),
  isInstalled: z
    .boolean()
    .optional()
    .describe("whether the drive with its program is there; it is made by the first task"),
  secrets: z
    .array(z.object({ name: z.string(), isSet: z.boolean() }))
    .describe("keys of its model: one of them is needed"),
  hosts: z.array(z.string()).describe("what its tasks may reach"),
});
export type AgentInfo = z.infer<typeof agentSchema>;

export const taskRoutes: Route[] = [
  {
    method: "POST",
    path: "/v1/tasks",
    summary: "Queues a task: a prompt for an agent, or a command, in a VM of its own",
    body: jsonBody(taskCreateSchema),
    answer: json(taskSchema, 201),
  },
  {
    method: "GET",
    path: "/v1/tasks",
    summary: "Tasks, the newest first",
    query: z.object({
      state: z
        .array(z.enum(TASK_STATES, `one of ${TASK_STATES.join(", ")}`))
        .optional()
        .describe("of these states"),
      agent: z.string().optional().describe("of one agent"),
      user: z.string().optional().describe("name of an API key"),
      label: z.array(z.string()).optional().describe("KEY or KEY=VALUE; all of them"),
      before: z.string().optional().describe("only those made before this one"),
      limit: count("tasks at most; 100 when absent"),
    }),
    answer: json(z.object({ tasks: z.array(taskSchema) })),
  },
  { method: "GET", path: "/v1/tasks/:task", summary: "One task", answer: json(taskSchema) },
  {
    method: "GET",
    path: "/v1/tasks/:task/wait",
    summary: "A task when it has ended, or as it is after some time",
    query: z.object({ timeoutMs: count("how long to wait at most; 60 s when absent, an hour at most") }),
    answer: json(taskSchema),
  },
  {
    method: "POST",
    path: "/v1/tasks/:task/cancel",
    summary: "Ends a task, whatever it is at; one that has ended stays as it is",
    answer: json(taskSchema),
  },
  {
    method: "POST",
    path: "/v1/tasks/:task/retry",
    summary: "Queues a task like one that has ended",
    answer: json(taskSchema, 201),
  },
  {
    method: "DELETE",
    path: "/v1/tasks/:task",
    summary: "Forgets a task that has ended, with its events and files",
    answer: json(deletedSchema),
  },
  {
    method: "GET",
    path: "/v1/tasks/:task/events",
    summary: "A task's events, from any number on; with an upgrade to WebSocket, text messages, one event each",
    query: z.object({
      from: count("number of the first one; 1 when absent; a stream goes by Last-Event-ID, too"),
      follow: flag(
        "go on with what comes, until the task has ended; streams and WebSockets do (the latter unless it is false)",
      ),
      skip: flag("whoever is 4 MiB behind is told `{skipped: {from, to}}` and goes on near the end"),
    }),
    answer: {
      form: "bytes",
      type: "application/x-ndjson",
      also: { "text/event-stream": "with that in Accept: an event each, with its number as id" },
    },
  },
  {
    method: "GET",
    path: "/v1/tasks/:task/files",
    summary: "The files of a task's output directory, once it has ended",
    answer: json(z.object({ files: z.array(taskResultFileSchema) })),
  },
  {
    method: "GET",
    path: "/v1/tasks/:task/file",
    summary: "A file's bytes, or a part of them",
    query: z.object({
      path: z.string().describe("below the output directory"),
      offset: count("first byte"),
      length: count("most bytes"),
    }),
    answer: { form: "bytes", type: "application/octet-stream" },
  },
  {
    method: "GET",
    path: "/v1/usage",
    summary: "Tokens, cost and time of VMs that ended tasks took, also of those that are deleted",
    query: z.object({
      by: usageBySchema.optional().describe("task, user, agent (when absent), model, day (UTC) or label:KEY"),
      since: z.string().optional().describe("those that ended from this time on"),
      until: z.string().optional().describe("those that ended before this time"),
    }),
    answer: json(usageSchema),
  },
  {
    method: "GET",
    path: "/v1/agents",
    summary: "The agents that tasks may be given to",
    answer: json(z.object({ agents: z.array(agentSchema) })),
  },
];
