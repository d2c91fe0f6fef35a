import type { IncomingMessage, ServerResponse } from "node:http";
import { runPublishSchema } from "../../contract/forward.ts";
import { EXEC_VM_HEADER, encodeJsonFrame, FRAME } from "../../contract/frames.ts";
import type { ImageConfig } from "../../contract/image.ts";
import { killSchema, resizeSchema, signalSchema } from "../../contract/vm.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import type { ExecSpec } from "../../guest/protocol.ts";
import { readFrames, relayAttach, relayExec } from "../../vms/exec-relay.ts";
import type { LiveVm } from "../../vms/live-vm.ts";
import { requireLocal, requireLocalForOpenPorts } from "./caller.ts";
import { type Api, type ApiContext, answerRaw, readJson } from "./context.ts";
import {
  DEFAULT_KILL_GRACE_MS,
  endWithFrames,
  firstFrame,
  progressTo,
  relayOptions,
  serveExec,
} from "./exec-frames.ts";
import type { ImageDeps } from "./image-routes.ts";
import { parseCount, parseRequest, signalOfCaller } from "./responses.ts";
import type { VmDeps } from "./vm-routes.ts";

const FRAMES_TYPE = "application/x-firebreak-frames";

type ExecDeps = VmDeps & Pick<ImageDeps, "images">;

export function addExecRoutes(api: Api, { vms, images, forwards }: ExecDeps): void {
  api.post("/v1/run", (context) =>
    answerRaw(context, (incoming, outgoing) =>
      answerFrames(outgoing, (signal) => runEphemeral({ vms, images, forwards }, context, incoming, outgoing, signal)),
    ),
  );
  api.post("/v1/vms/:vm/exec", (context) => {
    const { id: vm, name } = vms.requireUsable(context.req.param("vm"));
    return answerRaw(context, (incoming, outgoing) => {
      outgoing.setHeader(EXEC_VM_HEADER, name);
      return answerFrames(outgoing, (signal) => serveExec(vms, vm, incoming, outgoing, signal));
    });
  });
  // Requests to upgrade do not come here.
  api.get("/v1/vms/:vm/exec", () => {
    throw new FirebreakError("INVALID_ARGUMENT", "a command is run over WebSocket, or with POST", {
      hint: "Ask for the upgrade: Connection: Upgrade, Upgrade: websocket",
    });
  });
  api.get("/v1/vms/:vm/execs", async (context) =>
    context.json({ execs: await vms.use(context.req.param("vm"), {}, ({ client }) => client.execList()) }),
  );
  api.get("/v1/vms/:vm/execs/:id", async (context) => {
    const { vm, id } = context.req.param();
    const look = ({ client }: LiveVm) => client.execGet(id);
    const isPeek = context.req.query("peek") === "true";
    return context.json(await (isPeek ? vms.peek(vm, look) : vms.use(vm, {}, look)));
  });
  api.post("/v1/vms/:vm/execs/:id/attach", (context) => {
    const { vm: name, id } = context.req.param();
    const from = parseCount(context.req.query("from"), "from") ?? 0;
    const follow = context.req.query("follow") !== "false";
    const { id: vm } = vms.requireUsable(name);
    return answerRaw(context, (incoming, outgoing) =>
      answerFrames(outgoing, async (signal) => {
        await vms.use(vm, { signal, onProgress: progressTo(outgoing) }, () =>
          relayAttach(id, from, follow, relayOptions(vms, vm, readFrames(incoming), outgoing, signal)),
        );
      }),
    );
  });
  const control = (action: string, act: (live: LiveVm, id: string, body: unknown) => Promise<void>) =>
    api.post(`/v1/vms/:vm/execs/:id/${action}`, async (context) => {
      const { vm, id } = context.req.param();
      const body = await readJson(context);
      await vms.use(vm, {}, (live) => act(live, id, body));
      return context.body(null, 204);
    });
  control("signal", (live, id, body) => live.client.execSignal(id, parseRequest(signalSchema, body).signal));
  control("resize", (live, id, body) => live.client.execResize(id, parseRequest(resizeSchema, body)));
  control("kill", (live, id, body) =>
    live.client.execKill(id, parseRequest(killSchema, body).graceMs ?? DEFAULT_KILL_GRACE_MS),
  );
  api.delete("/v1/vms/:vm/execs/:id", async (context) => {
    const { vm, id } = context.req.param();
    await vms.use(vm, {}, ({ client }) => client.execDelete(id));
    return context.body(null, 204);
  });
}

/** A VM for one command: made before it, deleted after it, also when the caller goes away in between. */
async function runEphemeral(
  { vms, images, forwards }: ExecDeps,
  context: ApiContext,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const frames = readFrames(incoming);
  const request = parseRequest(runPublishSchema, await firstFrame(frames));
  if (request.vm.workspace !== undefined || request.vm.mounts.length > 0) requireLocal(context);
  requireLocalForOpenPorts(context, request.publish ?? []);
  const onProgress = progressTo(outgoing);
  // Before a VM is made for nothing.
  if (request.exec.argv === undefined) commandOf(request.vm.image, await images.config(request.vm.image));
  const vm = await forwards.publish(request.publish ?? [], () =>
    vms.create(request.vm, { onProgress, signal, ephemeral: true }),
  );
  try {
    outgoing.write(encodeJsonFrame(FRAME.vm, vm));
    const { workingDir, user, ...config } = await images.config(vm.imageDigest);
    const spec = {
      ...(workingDir === undefined ? {} : { cwd: workingDir }),
      ...(user === undefined ? {} : { user }),
      ...request.exec,
      argv: request.exec.argv ?? commandOf(vm.image, config),
    };
    await relayExec(spec as ExecSpec, relayOptions(vms, vm.id, frames, outgoing, signal, request.exec.killGraceMs));
  } finally {
    await vms.delete(vm.id);
  }
}

/** What an image runs by itself. Throws INVALID_ARGUMENT when it does not say. */
function commandOf(image: string, { entrypoint, cmd }: Pick<ImageConfig, "entrypoint" | "cmd">): string[] {
  const argv = [...entrypoint, ...cmd];
  if (argv.length > 0) return argv;
  throw new FirebreakError("INVALID_ARGUMENT", `the image ${image} has no command of its own`, {
    hint: `Say what to run: firebreak run --image ${image} -- COMMAND`,
  });
}

/** Answers 200 with frames; what goes wrong is the last frame. */
async function answerFrames(outgoing: ServerResponse, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const signal = signalOfCaller(outgoing);
  outgoing.writeHead(200, { "content-type": FRAMES_TYPE });
  outgoing.flushHeaders();
  await endWithFrames(outgoing, () => work(signal));
}
