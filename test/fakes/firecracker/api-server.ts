import http from "node:http";
import { FirecrackerSchema } from "../../support/firecracker-openapi.ts";
import type { DriveConfiguration, LoadOverrides, Machine, MachineConfiguration } from "./machine.ts";

/** Firecracker's own words, as 1.12.1 answers (src/vmm/src/rpc_interface.rs and src/firecracker/src/api_server of its repository). */
const FAULTS = {
  preBoot: "The requested operation is not supported before starting the microVM.",
  postBoot: "The requested operation is not supported after starting the microVM.",
  noKernel: "Start microvm error: Cannot start microvm without kernel configuration.",
  loadAfterConfig:
    "Load snapshot error: Loading a microVM snapshot not allowed after configuring boot-specific resources.",
  otherId: "The id from the path does not match the id from the body!",
};

/** What serde says of a body. */
const UNREADABLE = "An error occurred when deserializing the json body of a request:";

type State = "Not started" | "Running" | "Paused";

/** Which fields came with which release; a fake of an older one refuses them as unknown. */
const FIELDS_SINCE: [path: string, field: string | undefined, minor: number][] = [
  ["/serial", undefined, 14],
  ["/serial", "rate_limiter", 16],
  ["/balloon", "free_page_reporting", 14],
  ["/snapshot/load", "vsock_override", 16],
  ["/snapshot/load", "clock_realtime", 16],
];

interface Answer {
  status: number;
  body?: unknown;
}

class Refused extends Error {}

/** Of all bodies, the fields that are acted on; the document has been heeded by then. */
interface Body {
  action_type?: string;
  state?: string;
  drive_id?: string;
  iface_id?: string;
  path_on_host?: string;
  mem_file_path?: string;
  snapshot_path?: string;
  mem_backend?: { backend_path: string };
  resume_vm?: boolean;
  vsock_override?: { uds_path: string };
}

/** The API of one Firecracker: each request is checked against its OpenAPI document, and against what state its machine is in. */
export class FakeFirecracker {
  readonly version: string;
  state: State = "Not started";
  readonly config: MachineConfiguration = { "machine-config": { vcpu_count: 1, mem_size_mib: 128 }, drives: [] };
  readonly #machine: Machine;
  readonly #id: string;
  readonly #schema = new FirecrackerSchema();
  #isConfigured = false;
  /** Ends the program: a load that fails does. */
  onFatal: (reason: string) => void = () => {};
  /** Hears of each request before it is acted on. */
  onRequest: (request: string) => void = () => {};

  constructor(machine: Machine, options: { id?: string; version?: string } = {}) {
    this.#machine = machine;
    this.#id = options.id ?? "anonymous-instance";
    this.version = options.version ?? "1.16.1";
  }

  async handle(method: string, path: string, body: unknown): Promise<Answer> {
    const problems = [...this.#tooNew(path, body), ...this.#schema.problems(method, path, body)];
    if (problems.length > 0) return fault(problems.join("; "));
    if (hasOtherId(path, (body ?? {}) as Body)) return fault(FAULTS.otherId);
    try {
      return await this.#act(method, path, (body ?? {}) as Body);
    } catch (error) {
      return fault((error as Error).message);
    }
  }

  #tooNew(path: string, body: unknown): string[] {
    const minor = Number(this.version.split(".")[1]);
    return FIELDS_SINCE.filter(([of, , since]) => of === path && minor < since).flatMap(([, field]) => {
      if (field === undefined) return [`Invalid request method and/or path: PUT ${path.slice(1)}.`];
      return Object.hasOwn((body ?? {}) as object, field) ? [`${UNREADABLE} unknown field \`${field}\``] : [];
    });
  }

  async #act(method: string, path: string, body: Body): Promise<Answer> {
    switch (`${method} ${path.replace(/^(\/(?:drives|network-interfaces|pmem))\/.*/, "$1")}`) {
      case "GET /":
        return ok({ id: this.#id, app_name: "Firecracker", state: this.state, vmm_version: this.version });
      case "GET /version":
        return ok({ firecracker_version: this.version });
      case "GET /machine-config":
        return ok(this.config["machine-config"]);
      case "GET /vm/config":
        return ok(this.config);
      case "PUT /logger":
      case "PUT /metrics":
        return this.#beforeStart(() => {});
      case "PUT /serial":
        return this.#beforeStart(() => Object.assign(this.config, { serial: body }));
      case "PUT /drives":
        return this.#configure(() => this.#putDrive(body as DriveConfiguration));
      case "PATCH /drives":
        return this.#patchDrive(body as DriveConfiguration);
      case "PUT /machine-config":
      case "PUT /boot-source":
      case "PUT /entropy":
      case "PUT /balloon":
      case "PUT /cpu-config":
        return this.#configure(() => Object.assign(this.config, { [path.slice(1)]: body }));
      case "PUT /vsock":
        return this.#putVsock(body as NonNullable<MachineConfiguration["vsock"]>);
      case "PUT /network-interfaces":
        return this.#configure(() => Object.assign(this.config, { card: body }));
      case "PUT /actions":
        return this.#action(String(body.action_type));
      case "PATCH /vm":
        return this.#change(String(body.state));
      case "PUT /snapshot/create":
        return this.#save(body);
      case "PUT /snapshot/load":
        return this.#load(body);
      default:
        throw new Refused(`the fake has no ${method} ${path}`);
    }
  }

  /** Firecracker listens from then on (seen with 1.12.1). */
  async #putVsock(vsock: NonNullable<MachineConfiguration["vsock"]>): Promise<Answer> {
    const answer = this.#configure(() => Object.assign(this.config, { vsock }));
    await this.#machine.listen(vsock);
    return answer;
  }

  #beforeStart(act: () => void): Answer {
    if (this.state !== "Not started") throw new Refused(FAULTS.postBoot);
    act();
    return done;
  }

  #configure(act: () => void): Answer {
    const answer = this.#beforeStart(act);
    this.#isConfigured = true;
    return answer;
  }

  #putDrive(drive: DriveConfiguration): void {
    const { drives } = this.config;
    const at = drives.findIndex(({ drive_id }) => drive_id === drive.drive_id);
    if (at < 0) drives.push(drive);
    else drives[at] = drive;
  }

  async #patchDrive({ drive_id, path_on_host }: DriveConfiguration): Promise<Answer> {
    if (this.state === "Not started") throw new Refused(FAULTS.preBoot);
    const drive = this.config.drives.find((candidate) => candidate.drive_id === drive_id);
    if (drive === undefined)
      throw new Refused(`Unable to patch the block device: Invalid block device id: ${drive_id}`);
    await this.#machine.changeDrive(drive_id, path_on_host);
    drive.path_on_host = path_on_host;
    return done;
  }

  async #action(type: string): Promise<Answer> {
    if (type !== "InstanceStart") throw new Refused(`the fake has no action ${type}`);
    if (this.state !== "Not started") throw new Refused(FAULTS.postBoot);
    if (this.config["boot-source"] === undefined) throw new Refused(FAULTS.noKernel);
    await this.#machine.start(this.config);
    this.state = "Running";
    return done;
  }

  async #change(wanted: string): Promise<Answer> {
    if (this.state === "Not started") throw new Refused(FAULTS.preBoot);
    // Both are no errors in a machine that is so already.
    if (wanted === "Paused" && this.state === "Running") await this.#machine.pause();
    if (wanted === "Resumed" && this.state === "Paused") await this.#machine.resume();
    this.state = wanted === "Paused" ? "Paused" : "Running";
    return done;
  }

  async #save(body: Body): Promise<Answer> {
    if (this.state === "Not started") throw new Refused(FAULTS.preBoot);
    if (this.state !== "Paused")
      throw new Refused("Create snapshot error: Cannot save the microVM state: Operation not allowed: Running");
    await this.#machine.save(String(body.mem_file_path), String(body.snapshot_path));
    return done;
  }

  async #load(body: Body): Promise<Answer> {
    if (this.state !== "Not started") throw new Refused(FAULTS.postBoot);
    if (this.#isConfigured) throw new Refused(FAULTS.loadAfterConfig);
    const { mem_backend, mem_file_path } = body;
    if (mem_backend === undefined && mem_file_path === undefined)
      throw new Refused(`${UNREADABLE} missing field: either \`mem_backend\` or \`mem_file_path\` is required.`);
    if (mem_backend !== undefined && mem_file_path !== undefined)
      throw new Refused(
        `${UNREADABLE} too many fields: either \`mem_backend\` or \`mem_file_path\` exclusively is required.`,
      );
    const memory = body.mem_backend?.backend_path ?? String(body.mem_file_path);
    const overrides: LoadOverrides = {
      ...(body.vsock_override && { vsockPath: body.vsock_override.uds_path }),
      ...(this.config.serial && { serial: this.config.serial }),
    };
    try {
      await this.#machine.load(memory, String(body.snapshot_path), overrides);
      if (body.resume_vm === true) await this.#machine.resume();
    } catch (error) {
      const reason = `Load snapshot error: ${(error as Error).message}`;
      // A half-loaded machine is of no use: Firecracker answers, and ends.
      setImmediate(() => this.onFatal(reason));
      throw new Refused(reason);
    }
    this.state = body.resume_vm === true ? "Running" : "Paused";
    return done;
  }

  /** Serves the API on a UNIX socket. */
  listen(socketPath: string): Promise<http.Server> {
    const server = http.createServer(async (request, response) => {
      const { status, body } = await this.#read(request);
      const content = body === undefined ? undefined : JSON.stringify(body);
      response.writeHead(status, { server: "Firecracker API", "content-type": "application/json" }).end(content);
    });
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(socketPath, () => resolve(server));
    });
  }

  async #read(request: http.IncomingMessage): Promise<Answer> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    // Its server takes no chunked bodies.
    if (request.headers["transfer-encoding"] !== undefined)
      return { status: 400, body: { error: "Invalid request.\nAll previous unanswered requests will be dropped." } };
    let body: unknown;
    try {
      body = text === "" ? undefined : JSON.parse(text);
    } catch (error) {
      return fault(`${UNREADABLE} ${(error as Error).message}.`);
    }
    const { method = "", url = "" } = request;
    this.onRequest(`${method} ${url}`);
    return this.handle(method, url, body);
  }
}

/** A drive or card is named twice, by the path and in the body. */
function hasOtherId(path: string, { drive_id, iface_id }: Body): boolean {
  const named = /^\/(?:drives|network-interfaces)\/(.*)$/.exec(path)?.[1];
  return named !== undefined && named !== (drive_id ?? iface_id);
}

const done: Answer = { status: 204 };
const ok = (body: unknown): Answer => ({ status: 200, body });
const fault = (message: string): Answer => ({ status: 400, body: { fault_message: message } });
