import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { buildKernel } from "../../src/images/kernel-build.ts";
import { listKernels } from "../../src/images/kernel-store.ts";
import type { Progress } from "../../src/images/progress.ts";
import { createPaths, type FirebreakPaths, resolvePaths } from "../../src/platform/paths.ts";
import { findProcesses, spawnDetached } from "../../src/platform/process.ts";

// The kernel that is built to its end is in test/e2e/kernel.test.ts; here builds come to no good end.

let scratch: string;
before(async () => {
  scratch = await mkdtemp(path.join(os.tmpdir(), "firebreak-kernel-"));
});
after(() => rm(scratch, { recursive: true, force: true }));

function homePaths(name: string): FirebreakPaths {
  const home = path.join(scratch, name);
  const made = resolvePaths({ FIREBREAK_HOME: home, FIREBREAK_RUNTIME_DIR: path.join(scratch, "run") });
  createPaths(made);
  return made;
}

const unreachable = {
  ...process.env,
  FIREBREAK_DEBIAN_MIRROR: "file:///nonexistent/debian",
  FIREBREAK_DEBIAN_SECURITY_MIRROR: "none",
};

async function assertNothingIsLeft(paths: FirebreakPaths): Promise<void> {
  assert.deepEqual(await listKernels(paths), []);
  assert.deepEqual(await readdir(paths.kernels), []);
}

describe("a kernel build that does not come to its end", () => {
  test("killed in the middle: no kernel, nothing builds on, and the next run removes what is left", async () => {
    const paths = homePaths("killed");
    const script = path.join(scratch, "build.ts");
    const sources = path.join(import.meta.dirname, "../../src");
    await writeFile(
      script,
      `import { buildKernel } from ${JSON.stringify(`${sources}/images/kernel-build.ts`)};
import { resolvePaths } from ${JSON.stringify(`${sources}/platform/paths.ts`)};
await buildKernel(resolvePaths());\n`,
    );
    const { identity, exited } = await spawnDetached(process.execPath, [script], {
      fds: ["ignore", "ignore", "ignore"],
      env: { ...process.env, FIREBREAK_HOME: paths.home },
    });
    let hasEnded = false;
    void exited.then(() => {
      hasEnded = true;
    });
    const findObject = async () => {
      const work = (await readdir(paths.kernels)).find((name) => name.startsWith(".work-")) ?? "";
      const source = (await readdir(path.join(paths.kernels, work))).find((name) => name.startsWith("linux-source-"));
      return stat(path.join(paths.kernels, work, source ?? "", "init", "main.o")).catch(() => undefined);
    };
    while ((await findObject()) === undefined) {
      assert.ok(!hasEnded, "the build ended by itself");
      await delay(200);
    }
    process.kill(identity.pid, "SIGKILL");
    await exited;
    const building = () => findProcesses((argv) => argv.some((word) => word.includes(paths.kernels)));
    for (let left = 100; left > 0 && (await building()).length > 0; left--) await delay(100);
    assert.deepEqual(await building(), []);
    assert.deepEqual(await listKernels(paths), []);
    await assert.rejects(buildKernel(paths, { env: unreachable }), { code: "KERNEL_FETCH_FAILED" });
    await assertNothingIsLeft(paths);
  });

  test("cancelled in the middle: it ends at once and leaves nothing", async () => {
    const paths = homePaths("canceled");
    const abort = new AbortController();
    const fractions: number[] = [];
    const onProgress = ({ step, fraction }: Progress) => {
      if (step === "kernel-build" && fraction !== undefined) fractions.push(fraction);
      if (fractions.length > 1) abort.abort();
    };
    await assert.rejects(buildKernel(paths, { signal: abort.signal, onProgress }), { code: "OPERATION_CANCELED" });
    assert.ok((fractions.at(-1) ?? 1) < 0.2);
    await assertNothingIsLeft(paths);
  });

  test("a configuration that the source does not take is refused by name, before anything is compiled", async () => {
    const paths = homePaths("untaken");
    const configPath = path.join(scratch, "untaken.config");
    await writeFile(configPath, "CONFIG_64BIT=y\nCONFIG_NO_SUCH_THING=y\nCONFIG_NET=y\n# CONFIG_MMU is not set\n");
    const steps = new Set<string>();
    const built = buildKernel(paths, { configPath, onProgress: ({ step }) => steps.add(step) });
    await assert.rejects(built, (error: Error & { code: string }) => {
      assert.equal(error.code, "KERNEL_BUILD_FAILED");
      assert.match(error.message, /2 lines .*CONFIG_NO_SUCH_THING=y \(is n\), CONFIG_MMU=n \(is y\)/);
      return true;
    });
    assert.ok(steps.has("kernel-configure") && !steps.has("kernel-build"));
    await assertNothingIsLeft(paths);
  });

  test("a host without the tools is told what to install, before anything is fetched", async () => {
    const paths = homePaths("tools");
    const PATH = process.env.PATH;
    process.env.PATH = "/nonexistent";
    try {
      await assert.rejects(buildKernel(paths), (error: Error & { code: string; hint: string }) => {
        assert.equal(error.code, "TOOL_NOT_FOUND");
        assert.match(error.message, /make, gcc, ld, strip, flex, bison, bc/);
        assert.match(error.hint, /apt-get install .*make gcc binutils flex bison bc/);
        return true;
      });
    } finally {
      process.env.PATH = PATH;
    }
    await assertNothingIsLeft(paths);
  });
});
