import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { createFakeVmClient, type FakeRun, type FakeVmClient } from "../../test/support/fake-vm-client.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { readTar as readImageTar } from "../images/tar-reader.ts";
import { previewSchema } from "./controls.ts";
import { TOOLS, ToolRegistry } from "./registry.ts";
import { FAILURE_KEY } from "./result.ts";

/** Keywords that the models of all clients take. */
const PLAIN_KEYWORDS = new Set(
  "$schema type properties required additionalProperties description default enum items minimum maximum minLength maxLength minItems maxItems pattern".split(
    " ",
  ),
);

describe("the tools", () => {
  const registry = new ToolRegistry(TOOLS);

  test("have all that a client needs to know of them", () => {
    const names = registry.list().map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const tool of registry.list()) {
      assert.match(tool.name, /^[a-z_]{1,40}$/);
      assert.ok(tool.title && tool.title.length <= 60, tool.name);
      assert.ok(tool.description && tool.description.length >= 40, tool.name);
      for (const hint of ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] as const) {
        assert.equal(typeof tool.annotations?.[hint], "boolean", `${tool.name}.${hint}`);
      }
      assert.ok(!(tool.annotations?.readOnlyHint && tool.annotations.destructiveHint), tool.name);
    }
  });

  test("have strict, plain schemas whose arguments are all described", () => {
    for (const tool of registry.list()) {
      // An image's result has no structured content, which an output schema would ask for.
      assert.equal(tool.outputSchema === undefined, tool.name === "file_read", tool.name);
      const sides = { input: tool.inputSchema, ...(tool.outputSchema && { output: tool.outputSchema }) };
      for (const [side, schema] of Object.entries(sides)) {
        assert.equal(schema?.type, "object", `${tool.name} ${side}`);
        assert.equal(schema?.additionalProperties, false, `${tool.name} ${side}`);
        checkKeywords(schema, `${tool.name} ${side}`);
      }
      for (const [name, property] of Object.entries(tool.inputSchema.properties ?? {})) {
        assert.match(name, /^[a-z][a-z0-9_]*$/);
        assert.ok((property as { description?: string }).description, `${tool.name}.${name}`);
      }
    }
  });

  test("of the default toolsets are told in less than 46 KB: each client's model reads them all", () => {
    assert.ok(JSON.stringify(new ToolRegistry().list()).length < 46_000);
  });
});

function checkKeywords(schema: unknown, where: string): void {
  if (typeof schema !== "object" || schema === null) return;
  for (const [key, value] of Object.entries(schema)) {
    assert.ok(PLAIN_KEYWORDS.has(key), `${where}: '${key}'`);
    if (key === "properties") for (const [name, part] of Object.entries(value)) checkKeywords(part, `${where}.${name}`);
    if (key === "items" || key === "additionalProperties") checkKeywords(value, `${where}.${key}`);
  }
}

interface Answer {
  isError: boolean;
  text: string;
  data: Record<string, unknown>;
  content: unknown[];
}

function caller(client: FakeVmClient) {
  const registry = new ToolRegistry(TOOLS);
  return async (name: string, args: unknown, signal = new AbortController().signal): Promise<Answer> => {
    const tool = registry.get(name);
    assert.ok(tool, name);
    const result = await registry.call(tool, args, { connect: async () => client, signal, onProgress: () => {} });
    const [first] = result.content;
    const isImage = result.content.some(({ type }) => type === "image");
    const data = (result.structuredContent ?? result._meta?.[FAILURE_KEY] ?? {}) as Record<string, unknown>;
    if (!result.isError && data.preview !== undefined) previewSchema.parse(data.preview);
    else if (!result.isError && !isImage) tool.outputSchema.parse(data);
    return {
      isError: result.isError === true,
      text: first?.type === "text" ? first.text : "",
      data,
      content: result.content,
    };
  };
}

/** Previews, then confirms. */
async function confirmed(
  call: ReturnType<typeof caller>,
  name: string,
  args: Record<string, unknown>,
): Promise<Answer> {
  const { data } = await call(name, { ...args, preview: true });
  const { confirm_token } = data.preview as { confirm_token: string };
  return call(name, { ...args, confirm_token });
}

describe("a call", () => {
  test("with wrong arguments is refused before the daemon is reached", async () => {
    const registry = new ToolRegistry(TOOLS);
    for (const tool of TOOLS) {
      const connect = () => assert.fail("the daemon was reached");
      const result = await registry.call(
        tool,
        { nonsense: 1 },
        { connect, signal: new AbortController().signal, onProgress: () => {} },
      );
      assert.equal(result.isError, true);
      assert.equal((result._meta?.[FAILURE_KEY] as { code: string } | undefined)?.code, "INVALID_ARGUMENT");
      assert.match(JSON.stringify(result.content), /unknown argument 'nonsense'/);
    }
  });

  test("where no daemon can be reached is a failure that says so", async () => {
    const registry = new ToolRegistry(TOOLS);
    const connect = () => Promise.reject(new FirebreakError("DAEMON_START_FAILED", "the daemon did not start"));
    const tool = registry.get("vm_list");
    assert.ok(tool);
    const result = await registry.call(
      tool,
      {},
      { connect, signal: new AbortController().signal, onProgress: () => {} },
    );
    assert.equal((result._meta?.[FAILURE_KEY] as { code: string } | undefined)?.code, "DAEMON_START_FAILED");
  });

  test("of an unknown VM names those that exist", async () => {
    for (const name of ["run_command", "file_read", "file_write", "file_list", "file_delete", "vm_get", "vm_delete"]) {
      const needs = { command: "true", path: "/x", content: "", confirm_token: "x" };
      const tool = new ToolRegistry(TOOLS).get(name);
      const keys = Object.keys(toProperties(tool?.inputSchema)).filter((key) => Object.hasOwn(needs, key));
      const args = Object.fromEntries(keys.map((key) => [key, needs[key as keyof typeof needs]]));
      const answer = await caller(createFakeVmClient(["web", "db"]))(name, { vm: "nope", ...args });
      assert.equal(answer.data.code, "VM_NOT_FOUND", name);
      assert.equal(answer.data.hint, "Existing VMs: web, db.", name);
    }
  });

  test("by id names the VM by its name", async () => {
    const call = caller(createFakeVmClient());
    assert.equal((await call("run_command", { vm: "id-web", command: "true" })).data.vm, "web");
    assert.match((await call("file_write", { vm: "id-web", path: "/a", content: "" })).text, /^\[vm web · /);
  });
});

function toProperties(schema: unknown): Record<string, unknown> {
  return (schema as { shape?: Record<string, unknown> } | undefined)?.shape ?? {};
}

describe("snapshots, forks and states", () => {
  test("a VM is snapshotted, restored and forked by name", async () => {
    const call = caller(createFakeVmClient(["web"]));
    const taken = await call("snapshot_create", { vm: "web", name: "ready" });
    assert.deepEqual([taken.data.snapshot, taken.data.vm, taken.data.stopped_ms], ["ready", "web", 7]);
    assert.match(taken.text, /^\[vm web · snapshot ready · stood still for 7 ms\]\n/);
    assert.match((await call("snapshot_list", {})).text, /^\[firebreak · 1 snapshot\]\nready: of vm web/);
    assert.deepEqual((await call("snapshot_get", { snapshot: "ready" })).data.ancestors, []);
    const restored = await confirmed(call, "snapshot_restore", { snapshot: "ready" });
    assert.match(restored.text, /^\[vm web · restored · running\]/);
    const forked = await call("snapshot_fork", { snapshot: "ready", name: "two", disk_mib: 4096 });
    assert.deepEqual(forked.data, { vm: "two", state: "running" });
    assert.equal((await call("vm_fork", { vm: "web", name: "three" })).data.vm, "three");
    assert.equal((await confirmed(call, "snapshot_delete", { snapshot: "ready" })).data.deleted, true);
    const gone = await call("snapshot_fork", { snapshot: "ready" });
    assert.deepEqual(
      [gone.data.code, gone.data.hint],
      ["SNAPSHOT_NOT_FOUND", "There is no snapshot; snapshot_create takes one."],
    );
  });

  test("a VM's state is changed, and told", async () => {
    const call = caller(createFakeVmClient(["web"]));
    for (const [tool, state] of [
      ["vm_pause", "paused"],
      ["vm_resume", "running"],
      ["vm_suspend", "suspended"],
    ] as const) {
      assert.deepEqual((await call(tool, { vm: "web" })).data, { vm: "web", state });
      assert.equal((await call("vm_get", { vm: "web" })).data.state, state);
    }
  });

  test("a VM that is made or started may wait for the host's memory", async () => {
    const client = createFakeVmClient();
    const waits: unknown[] = [];
    const { create, start } = client.vms;
    client.vms.create = (request, options) => {
      waits.push(request.admissionWaitMs);
      return create(request, options);
    };
    client.vms.start = (vm, options) => {
      waits.push(options?.admissionWaitMs);
      return start(vm, options);
    };
    const call = caller(client);
    await call("vm_create", { name: "one", wait_for_memory_seconds: 60 });
    await call("vm_start", { vm: "one", wait_for_memory_seconds: 5 });
    await call("vm_start", { vm: "one" });
    assert.deepEqual(waits, [60_000, 5_000, undefined]);
    assert.equal((await call("vm_start", { vm: "one", wait_for_memory_seconds: 0 })).isError, true);
  });

  test("a VM is shown with the drives that it has", async () => {
    const client = createFakeVmClient(["web"]);
    const call = caller(client);
    assert.equal(Object.hasOwn((await call("vm_get", { vm: "web" })).data, "drives"), false);
    const attached = { readOnly: false, state: "attached" } as const;
    const [web] = client.world.vms;
    assert.ok(web);
    web.drives = [
      { ...attached, id: "1", name: "data", format: "ext4", path: "/data", readOnly: true },
      { ...attached, id: "2", name: "disk", format: "raw", reason: "it is gone" },
    ];
    assert.deepEqual((await call("vm_get", { vm: "web" })).data.drives, [
      "data at /data (read-only)",
      "disk: it is gone",
    ]);
  });

  test("whoever uses a suspended VM hears that it is brought back", async () => {
    const client = createFakeVmClient(["web"]);
    await client.vms.suspend("web");
    client.world.files.set("/f", Buffer.from("x"));
    const tool = new ToolRegistry(TOOLS).get("file_read");
    assert.ok(tool);
    const notes: string[] = [];
    const options = { connect: async () => client, signal: new AbortController().signal };
    const onProgress = ({ message }: { message: string }) => void notes.push(message);
    await new ToolRegistry(TOOLS).call(tool, { vm: "web", path: "/f" }, { ...options, onProgress });
    assert.deepEqual(notes, ["bringing back the VM 'web'"]);
  });

  test("a port is forwarded, found and closed", async () => {
    const call = caller(createFakeVmClient(["web"]));
    const made = await call("forward_create", { vm: "web", guest_port: 80 });
    assert.deepEqual([made.data.host_address, made.data.host_port, made.data.guest_port], ["127.0.0.1", 40_000, 80]);
    assert.match(made.text, /^\[vm web · forward f0 · listening\]\nf0: 127\.0\.0\.1:40000 of this computer to port 80/);
    assert.match((await call("forward_list", {})).text, /^\[firebreak · 1 forward\]/);
    assert.equal((await call("forward_get", { forward: "f0" })).data.state, "listening");
    assert.equal((await call("forward_delete", { forward: "f0" })).data.deleted, true);
    assert.equal((await call("forward_get", { forward: "f0" })).data.code, "FORWARD_NOT_FOUND");
    const bad = await call("forward_create", { vm: "web", guest_port: 80, host_address: "example.org" });
    assert.equal(bad.data.code, "INVALID_ARGUMENT");
  });

  test("a port that other machines get in by needs a confirmation", async () => {
    const call = caller(createFakeVmClient(["web"]));
    const open = { vm: "web", guest_port: 80, host_port: 8080, host_address: "0.0.0.0" };
    assert.equal((await call("forward_create", open)).data.code, "CONFIRMATION_REQUIRED");
    assert.match(
      (await call("forward_create", { ...open, preview: true })).text,
      /port 8080 of 0\.0\.0\.0; other machines, too, can reach port 80 of 'web'/,
    );
    assert.equal((await confirmed(call, "forward_create", open)).data.host_address, "0.0.0.0");
    assert.equal((await call("forward_create", { ...open, host_address: "127.0.0.2" })).isError, false);
  });

  test("a template is made ahead, shown and deleted", async () => {
    const call = caller(createFakeVmClient());
    assert.deepEqual((await call("template_create", { memory_mib: 1024 })).data.memory_mib, 1024);
    assert.equal((await call("template_create", { memory_mib: 1 })).data.code, "INVALID_ARGUMENT");
    assert.match((await call("template_get", { template: "b" })).text, /^\[firebreak · template b · stale\]/);
    assert.equal((await call("template_delete", { template: "b" })).data.code, "CONFIRMATION_REQUIRED");
    assert.deepEqual((await confirmed(call, "template_delete", { template: "b" })).data, {
      template: "b",
      deleted: true,
    });
    assert.equal((await call("template_get", { template: "b" })).data.code, "TEMPLATE_NOT_FOUND");
  });

  test("a kernel is shown", async () => {
    const call = caller(createFakeVmClient());
    assert.equal((await call("kernel_get", { kernel: "stock-1" })).data.current, true);
    assert.equal((await call("kernel_get", { kernel: "none" })).data.code, "KERNEL_NOT_FOUND");
  });

  test("an image is imported from a directory or a tar in a VM, and loses its name", async () => {
    const client = createFakeVmClient(["web"]);
    const call = caller(client);
    client.world.files.set("/srv/root/etc/passwd", Buffer.from("x"));
    client.world.files.set("/srv/root.tar", Buffer.from("a tar"));
    const made = await call("image_import", { vm: "web", path: "/srv/root", name: "mine" });
    assert.deepEqual([made.data.names, made.data.made_by], [["mine"], "import"]);
    await call("image_import", { vm: "web", path: "/srv/root.tar", name: "tarred" });
    assert.deepEqual(client.world.contexts.map(String), ["archive of /srv/root", "a tar"]);
    assert.equal((await call("image_import", { vm: "web", path: "/none", name: "x" })).isError, true);
    assert.deepEqual((await call("image_untag", { name: "mine" })).data.names, []);
    assert.equal((await call("image_untag", { name: "mine" })).data.code, "IMAGE_NOT_FOUND");
  });

  test("templates are pruned: the stale ones, or all", async () => {
    const call = caller(createFakeVmClient());
    assert.equal(((await call("template_list", {})).data.templates as unknown[]).length, 2);
    assert.deepEqual((await confirmed(call, "template_prune", {})).data, { deleted: ["b"], freed_bytes: 1000 });
    assert.deepEqual((await confirmed(call, "template_prune", { all: true })).data, {
      deleted: ["a"],
      freed_bytes: 1000,
    });
  });

  test("images are pulled, named, shown and deleted; what is in use needs force", async () => {
    const call = caller(createFakeVmClient());
    const pulled = await confirmed(call, "image_pull", { reference: "python:3.13", name: "python" });
    assert.deepEqual((pulled.data.source as { reference: string }).reference, "python:3.13");
    assert.match(pulled.text, /something is left out/);
    assert.deepEqual((await call("image_tag", { image: "python", name: "py:3" })).data.names, ["python", "py:3"]);
    const shown = (await call("image_get", { image: "py:3" })).data;
    assert.deepEqual([shown.command, shown.working_dir], [["/bin/tool", "--all"], "/srv"]);
    assert.match((await confirmed(call, "image_delete", { image: "py:3" })).text, /IMAGE_IN_USE/);
    const { data } = await confirmed(call, "image_delete", { image: "py:3", force: true });
    assert.deepEqual([data.names, data.templates, data.freed_bytes], [["python", "py:3"], ["a"], 1000]);
    assert.deepEqual((await confirmed(call, "image_prune", {})).data.deleted, []);
    const planned = await call("image_prune", { all: true, preview: true });
    assert.match(planned.text, /delete: .* python, py:3|nothing/);
    assert.equal(((await call("image_list", {})).data.images as unknown[]).length, 1);
    await confirmed(call, "image_prune", { all: true });
    assert.deepEqual((await call("image_list", {})).data.images, []);
  });

  test("an image is pushed as its digest, to a registry that the preview names", async () => {
    const client = createFakeVmClient();
    const call = caller(client);
    const args = { image: "debian", reference: "localhost:5000/team/app:1", tls_verify: false };
    const planned = await call("image_push", { ...args, preview: true });
    assert.match(planned.text, /publish it at localhost:5000, without TLS, as localhost:5000\/team\/app:1/);
    assert.equal((await call("image_push", args)).data.code, "CONFIRMATION_REQUIRED");
    const { data } = await confirmed(call, "image_push", args);
    assert.deepEqual([data.image, data.reference], [(await client.images.get("debian")).digest, args.reference]);
    for (const reference of ["app", "team/app:1", `localhost:5000/app@sha256:${"0".repeat(64)}`, "localhost:5000/A"])
      assert.equal(
        (await call("image_push", { image: "debian", reference, preview: true })).data.code,
        "INVALID_ARGUMENT",
      );
  });

  test("an image is built from files that are given as text", async () => {
    const client = createFakeVmClient();
    const files = [{ path: "bin/tool", text: "#!/bin/sh\n", executable: true }];
    const built = await caller(client)("image_build_file", { name: "app", build_file: "FROM debian\n", files });
    assert.equal(built.data.made_by, "build");
    const members: [string, string, number][] = [];
    for await (const { entry, content } of readImageTar(Readable.from([Buffer.concat(client.world.contexts)]))) {
      const chunks: Buffer[] = [];
      for await (const chunk of content()) chunks.push(chunk);
      members.push([entry.path, Buffer.concat(chunks).toString(), entry.mode]);
    }
    assert.deepEqual(members, [
      [".build-file", "FROM debian\n", 0o644],
      ["bin/tool", "#!/bin/sh\n", 0o755],
    ]);
    for (const path of ["/etc/passwd", "../x", "a/../b", ".build-file", "a//b", ""]) {
      const bad = { name: "app", build_file: "FROM debian", files: [{ path, text: "" }] };
      assert.match((await caller(client)("image_build_file", bad)).text, /INVALID_ARGUMENT/, path);
    }
  });

  test("an image's name or reference that could be something else is refused before anything is asked", async () => {
    const call = caller(createFakeVmClient());
    for (const name of ["../x", "-x", "a b", "A", ""])
      assert.match((await call("image_tag", { image: "debian", name })).text, /INVALID_NAME/);
    assert.match((await call("image_pull", { reference: "a", platform: "linux" })).text, /platform/);
    assert.match((await call("image_pull", { reference: "a", password: "x" })).text, /INVALID_ARGUMENT/);
  });
});

describe("run_command", () => {
  const run = (fake: FakeRun, args: Record<string, unknown> = { command: "x" }) =>
    caller(createFakeVmClient(["web"], fake))("run_command", { vm: "web", ...args });

  test("takes exactly one of command and argv", async () => {
    assert.match((await run({}, {})).text, /exactly one of/);
    assert.match((await run({}, { command: "x", argv: ["x"] })).text, /exactly one of/);
  });

  test("passes on what it is given", async () => {
    const client = createFakeVmClient();
    await caller(client)("run_command", {
      vm: "web",
      command: "a",
      cwd: "/x",
      env: { A: "1" },
      user: "u",
      stdin: "",
      timeout_ms: 5,
    });
    await caller(client)("run_command", { vm: "web", argv: ["a", "b"] });
    assert.deepEqual(client.world.specs, [
      { argv: ["/bin/sh", "-c", "a"], cwd: "/x", env: { A: "1" }, user: "u", stdin: true, timeoutMs: 5 },
      { argv: ["a", "b"], stdin: false, timeoutMs: 120_000 },
    ]);
  });

  test("shows stdout as it is and announces stderr", async () => {
    const output = [
      { type: "stdout" as const, bytes: Buffer.from("out\n") },
      { type: "stderr" as const, bytes: Buffer.from("err\n") },
    ];
    const answer = await run({ output, exit: { exitCode: 3 } });
    assert.equal(answer.isError, false);
    assert.equal(answer.text, "[vm web · exit 3 · 12 ms]\nout\n\n[stderr]\nerr\n");
  });

  test("tells signals and timeouts from exits", async () => {
    const killed = await run({ exit: { exitCode: null, signal: "SIGKILL" } });
    assert.deepEqual([killed.data.status, killed.data.signal], ["signaled", "SIGKILL"]);
    const slow = await run({ exit: { exitCode: null, signal: "SIGTERM", timedOut: true } });
    assert.equal(slow.data.status, "timed_out");
    assert.match(slow.text, /^\[vm web · timed out · /);
  });

  test("saves long output in the VM, and says when the VM has no room", async () => {
    const output = Array.from({ length: 100 }, () => ({ type: "stdout" as const, bytes: Buffer.alloc(1000, 97) }));
    const client = createFakeVmClient(["web"], { output });
    const answer = await caller(client)("run_command", { vm: "web", command: "x" });
    const cut = answer.data.stdout_cut as { path: string; bytes: number; saved_bytes: number };
    assert.match(cut.path, /^\/var\/tmp\/firebreak\/output\/exec-1-[0-9a-f]{8}\.stdout$/);
    assert.equal(client.world.files.get(cut.path)?.length, 100_000);
    const full = createFakeVmClient(["web"], { output });
    full.world.diskBytes = 80_000;
    const lost = await caller(full)("run_command", { vm: "web", command: "x" });
    assert.equal(lost.isError, false);
    assert.equal((lost.data.stdout_cut as { path?: string }).path, undefined);
    assert.match(lost.text, /could not be saved/);
  });

  test("hangs up when it is given up", async () => {
    const client = createFakeVmClient(["web"], { isEndless: true });
    const aborter = new AbortController();
    setTimeout(() => aborter.abort(), 10);
    const answer = await caller(client)("run_command", { vm: "web", command: "x" }, aborter.signal);
    assert.equal(answer.data.code, "OPERATION_CANCELED");
    assert.equal(client.world.closedExecs, 1);
  });
});

describe("what tools tell of VMs and of the host", () => {
  const call = caller(createFakeVmClient(["web", "db"]));

  test("a VM's console is read from its end", async () => {
    const client = createFakeVmClient(["web"]);
    client.world.console = Array.from({ length: 300 }, (_, index) => `line ${index}\r\n`).join("");
    const { data } = await caller(client)("vm_logs", { vm: "web", tail_lines: 2 });
    assert.deepEqual([data.lines, data.cut], [["line 298", "line 299"], true]);
  });

  test("events are read on from where one stopped", async () => {
    const first = await call("event_list", {});
    assert.deepEqual([first.data.next_index, (first.data.events as unknown[]).length], [2, 2]);
    const next = await call("event_list", { after_index: 2 });
    assert.deepEqual([next.data.next_index, next.data.events], [2, []]);
  });

  test("figures, and what all use together", async () => {
    assert.equal((await call("vm_stats", { vm: "web" })).data.host_cpu_ms, 5);
    const { data } = await call("usage", {});
    assert.deepEqual([data.vms, data.states, data.vm_disk_bytes, data.host_memory_bytes], [2, { running: 2 }, 20, 14]);
    assert.equal((await call("ping", {})).data.vms, 2);
    assert.equal((await call("host_info", {})).data.cpus, 2);
    assert.equal((await call("vm_wait", { vm: "web", for: ["running"] })).data.state, "running");
  });

  test("a check that failed and does not matter does not make the host a bad one", async () => {
    const { data, text } = await call("doctor", {});
    assert.equal(data.ok, true);
    assert.match(text, /FAILED skopeo: missing \(apt-get install skopeo\)/);
  });

  test("a cost is that of the prices, for a VM or a size", async () => {
    const sized = await call("vm_estimate_cost", { cpus: 2, memory_mib: 1024, disk_mib: 2048, hours: 3, count: 2 });
    assert.deepEqual(
      [sized.data.cpu, sized.data.memory, sized.data.disk, sized.data.amount, sized.data.per_hour, sized.data.currency],
      [6, 1.5, 1.5, 9, 3, "EUR"],
    );
    // 1 CPU, 512 MiB, 2048 MiB of disk.
    assert.equal((await call("vm_estimate_cost", { vm: "web" })).data.amount, 0.5 + 0.125 + 0.25);
    assert.equal((await call("vm_estimate_cost", { vm: "web", cpus: 2 })).data.code, "INVALID_ARGUMENT");
    assert.equal((await call("vm_estimate_cost", { vm: "nope" })).data.code, "VM_NOT_FOUND");
  });

  test("labels are added, and taken away by null", async () => {
    assert.deepEqual((await call("vm_update", { vm: "web", labels: { a: "1", b: "2" } })).data.labels, {
      a: "1",
      b: "2",
    });
    assert.deepEqual((await call("vm_update", { vm: "web", remove_labels: ["a"] })).data.labels, { b: "2" });
  });

  test("tools are described, also those that are not served, with their schemas when asked for", async () => {
    const { tools } = (await call("describe", {})).data as { tools: Record<string, unknown>[] };
    assert.deepEqual(
      tools.map(({ tool }) => tool),
      TOOLS.map(({ name }) => name),
    );
    const [deletion] = (await call("describe", { tool: "vm_delete" })).data.tools as Record<string, unknown>[];
    assert.deepEqual(
      [deletion?.toolset, deletion?.side_effects, deletion?.needs_confirmation, deletion?.cost_class],
      ["vm", "destroys", true, "quick"],
    );
    assert.ok("properties" in ((deletion?.input_schema ?? {}) as object));
    assert.equal((await call("describe", { tool: "vm_delte" })).data.hint, "Did you mean 'vm_delete'?");
  });

  test("kernels are listed, verified and chosen", async () => {
    const own = caller(createFakeVmClient());
    assert.equal(((await own("kernel_list", {})).data.kernels as unknown[]).length, 2);
    assert.equal((await own("kernel_verify", {})).data.kernel, "stock-1");
    assert.equal((await own("kernel_use", { kernel: "built-1" })).data.code, "CONFIRMATION_REQUIRED");
    assert.equal((await confirmed(own, "kernel_use", { kernel: "built-1" })).data.current, true);
    assert.equal((await confirmed(own, "kernel_delete", { kernel: "stock-1" })).data.deleted, true);
    assert.equal((await confirmed(own, "kernel_build", {})).data.up_to_date, true);
    assert.equal((await confirmed(own, "image_build", { image: "debian" })).data.up_to_date, false);
  });
});

describe("a failure", () => {
  test("says when the same call may work, and what a command had written", async () => {
    const output = [{ type: "stdout" as const, bytes: Buffer.from("half") }];
    const failure = new FirebreakError("CHANNEL_LOST", "the channel broke");
    const call = caller(createFakeVmClient(["web"], { output, failure }));
    const { data, text } = await call("run_command", { vm: "web", command: "x" });
    assert.deepEqual([data.code, data.retryable, data.retry_after_ms], ["CHANNEL_LOST", true, 1000]);
    assert.deepEqual(data.partial_output, { stdout: "half", stderr: "" });
    assert.match(text, /What it had written/);
  });
});

describe("a command's output", () => {
  const chunk = (type: "stdout" | "stderr", text: string) => ({ type, bytes: Buffer.from(text) });
  const args = { vm: "web", exec_id: "exec-1" };

  test("is read in pages that fit together, with both streams", async () => {
    const output = [chunk("stdout", "äöü".repeat(10)), chunk("stderr", "oh"), chunk("stdout", "end")];
    const call = caller(createFakeVmClient(["web"], { output, exit: { exitCode: 3 } }));
    const whole = await call("command_output", args);
    assert.deepEqual(
      [whole.data.stdout, whole.data.stderr, whole.data.next_offset, whole.data.more, whole.data.exit_code],
      [`${"äöü".repeat(10)}end`, "oh", 65, false, 3],
    );
    // 17 bytes end within a character, which is left to the next page.
    const page = await call("command_output", { ...args, max_bytes: 17 });
    assert.deepEqual([page.data.stdout, page.data.next_offset, page.data.more], ["äöüäöüäö", 16, true]);
    assert.equal(page.data.exit_code, undefined);
  });

  test("of a command that does not exist is an error", async () => {
    const call = caller(createFakeVmClient());
    assert.equal((await call("command_input", { ...args, exec_id: "nope", eof: true })).data.code, "EXEC_NOT_FOUND");
    assert.equal((await call("command_input", { ...args, eof: true })).data.code, "EXEC_STATE_CONFLICT");
    assert.equal((await call("command_input", args)).data.code, "INVALID_ARGUMENT");
    assert.equal((await call("command_status", { ...args, exec_id: "nope" })).data.code, "EXEC_NOT_FOUND");
    assert.equal((await call("command_status", { ...args, exec_id: "../x" })).data.code, "INVALID_ARGUMENT");
  });
});

describe("the file tools", () => {
  test("a long text is read in pages that fit together, whatever the characters", async () => {
    const client = createFakeVmClient();
    const text = "aä€🎉".repeat(50);
    client.world.files.set("/f", Buffer.from(text));
    for (const length of [4, 5, 7, 16, 64]) {
      let read = "";
      let offset: number | undefined = 0;
      while (offset !== undefined) {
        const answer: Answer = await caller(client)("file_read", { vm: "web", path: "/f", offset, length });
        assert.equal(answer.data.encoding, "text");
        read += String(answer.data.content);
        offset = answer.data.next_offset as number | undefined;
      }
      assert.equal(read, text);
    }
  });

  test("what is asked for as text and is none is refused", async () => {
    const client = createFakeVmClient();
    client.world.files.set("/f", Buffer.from([0xff, 0xfe]));
    assert.equal(
      (await caller(client)("file_read", { vm: "web", path: "/f", encoding: "text" })).data.code,
      "INVALID_ARGUMENT",
    );
    assert.equal((await caller(client)("file_read", { vm: "web", path: "/f" })).data.content, "//4=");
  });

  test("an image longer than a page comes whole", async () => {
    const client = createFakeVmClient();
    const png = Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), Buffer.alloc(200_000, 1)]);
    client.world.files.set("/f", png);
    const answer = await caller(client)("file_read", { vm: "web", path: "/f" });
    assert.deepEqual(answer.content[1], { type: "image", mimeType: "image/png", data: png.toString("base64") });
    const raw = await caller(client)("file_read", { vm: "web", path: "/f", encoding: "base64" });
    assert.equal(raw.data.next_offset, 65_536);
  });

  test("base64 with a slip is refused instead of written", async () => {
    const client = createFakeVmClient();
    for (const content of ["a", "ab*=", "data:,x"]) {
      const answer = await caller(client)("file_write", { vm: "web", path: "/f", content, encoding: "base64" });
      assert.equal(answer.data.code, "INVALID_ARGUMENT", content);
    }
    await caller(client)("file_write", { vm: "web", path: "/f", content: "//4\n=", encoding: "base64" });
    assert.deepEqual(client.world.files.get("/f"), Buffer.from([0xff, 0xfe]));
  });

  test("a directory is listed in pages, and a made-up cursor is refused", async () => {
    const client = createFakeVmClient();
    for (const name of ["a", "b", "c\nd"]) client.world.files.set(`/d/${name}`, Buffer.from(name));
    const first = await caller(client)("file_list", { vm: "web", path: "/d", limit: 2 });
    const second = await caller(client)("file_list", { vm: "web", path: "/d", cursor: first.data.next_cursor });
    assert.deepEqual(
      [first, second].map(({ data }) => (data.entries as unknown[]).length),
      [2, 1],
    );
    assert.equal(second.data.next_cursor, undefined);
    assert.match(second.text, /^\[vm web · 1 entry\]\n0644 +3 "c\\nd"$/);
    assert.equal(
      (await caller(client)("file_list", { vm: "web", path: "/d", cursor: "x" })).data.code,
      "INVALID_ARGUMENT",
    );
  });
});
