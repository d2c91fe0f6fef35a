import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { runCommand } from "../../src/platform/process.ts";
import { freePort } from "./free-port.ts";
import { waitFor } from "./wait-for.ts";

/** Debian's docker-registry on a port of this host. */
export interface Registry {
  /** `localhost:PORT` */
  host: string;
  /** Copies an image of a layout (`DIR` or `DIR:NAME`) into it; returns nothing. */
  push: (layout: string, name: string, login?: string) => Promise<void>;
  close: () => Promise<void>;
}

/** Starts one. `htpasswd`: it wants a login; a line such as `htpasswd -B` writes. */
export async function startRegistry(folder: string, htpasswd?: string): Promise<Registry> {
  const port = await freePort();
  await mkdir(folder, { recursive: true });
  const auth = path.join(folder, "htpasswd");
  if (htpasswd !== undefined) await writeFile(auth, `${htpasswd}\n`);
  const config = {
    version: "0.1",
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: path.join(folder, "storage") } },
    http: { addr: `127.0.0.1:${port}`, secret: createHash("sha256").update(folder).digest("hex") },
    ...(htpasswd === undefined ? {} : { auth: { htpasswd: { realm: "test", path: auth } } }),
  };
  const file = path.join(folder, "config.yml");
  // JSON is YAML.
  await writeFile(file, JSON.stringify(config));
  const child = spawn("docker-registry", ["serve", file], { stdio: "ignore" });
  const host = `localhost:${port}`;
  await waitFor(() => isAnswering(port));
  const push = async (layout: string, name: string, login?: string) => {
    const creds = login === undefined ? [] : ["--dest-creds", login];
    const args = ["copy", "--insecure-policy", "--all", "--dest-tls-verify=false", ...creds];
    await runCommand("skopeo", [...args, `oci:${layout}`, `docker://${host}/${name}`]);
  };
  return { host, push, close: () => end(child) };
}

async function isAnswering(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get({ port, host: "127.0.0.1", path: "/v2/" }, (response) => {
      response.resume();
      resolve(true);
    });
    request.once("error", () => resolve(false));
  });
}

async function end(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}
