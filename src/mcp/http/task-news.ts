import type { JSONRPCNotification } from "@modelcontextprotocol/server";
import { acknowledgeTasks, findTasks, type TaskListen, watchTasks } from "../task/news.ts";
import type { VmClient } from "../vm-client.ts";

/** No resource: who hears of tasks alone has this one in the SDK's eyes, which would end the stream otherwise. */
const HOLD_OPEN = "firebreak-listen:tasks";

interface ListenParams {
  notifications?: { resourceSubscriptions?: unknown };
}

/** Serves `subscriptions/listen` with tasks: the SDK's stream with what it knows nothing of. */
export async function respondWithTasks(options: {
  listen: TaskListen;
  message: unknown;
  client: () => Promise<VmClient>;
  /** Lets the SDK answer the request as it is given. */
  answer: (message: unknown) => Promise<Response>;
}): Promise<Response> {
  const { listen, message, client, answer } = options;
  const taskIds = await findTasks(listen.taskIds, client);
  if (taskIds.length === 0) return answer(message);
  const response = await answer(holdOpen(message));
  if (response.body === null || !response.headers.get("content-type")?.startsWith("text/event-stream")) return response;
  return new Response(response.body.pipeThrough(addNews({ id: listen.id, taskIds }, client)), response);
}

function holdOpen(message: unknown): unknown {
  const { params } = message as { params: ListenParams };
  const { resourceSubscriptions: uris = [] } = params.notifications ?? {};
  // What is malformed is refused by the SDK.
  const held = Array.isArray(uris) ? [...uris, HOLD_OPEN] : uris;
  const notifications = { ...params.notifications, resourceSubscriptions: held };
  return { ...(message as object), params: { ...params, notifications } };
}

/** Passes frames on, the first of which is the acknowledgement, and adds those of tasks. */
function addNews(listen: TaskListen, client: () => Promise<VmClient>): TransformStream<Uint8Array, Uint8Array> {
  const [decoder, encoder] = [new TextDecoder(), new TextEncoder()];
  let head: string | undefined = "";
  let stop = () => {};
  return new TransformStream({
    transform: (chunk, controller) => {
      if (head === undefined) return controller.enqueue(chunk);
      head += decoder.decode(chunk, { stream: true });
      const end = head.indexOf("\n\n");
      if (end < 0) return;
      const first = head.slice(0, end).replace(/^data: (.*)$/m, (_, json: string) => {
        return `data: ${JSON.stringify(acknowledge(JSON.parse(json), listen.taskIds))}`;
      });
      controller.enqueue(encoder.encode(first + head.slice(end)));
      head = undefined;
      const tell = (note: JSONRPCNotification) =>
        controller.enqueue(encoder.encode(`event: message\ndata: ${JSON.stringify(note)}\n\n`));
      stop = watchTasks({ listen, client, tell });
    },
    flush: () => stop(),
    cancel: () => stop(),
  });
}

function acknowledge(message: JSONRPCNotification, taskIds: string[]): JSONRPCNotification {
  const told = acknowledgeTasks(message, taskIds) as { params: ListenParams };
  const { resourceSubscriptions, ...rest } = told.params.notifications ?? {};
  const uris = (Array.isArray(resourceSubscriptions) ? resourceSubscriptions : []).filter((uri) => uri !== HOLD_OPEN);
  const notifications = uris.length === 0 ? rest : { ...rest, resourceSubscriptions: uris };
  return { ...message, params: { ...told.params, notifications } };
}
