import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import type http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { hostAuthority } from "./opened-pair.ts";
import { writeFiles } from "./workspace-service.ts";

const IDENTITY = ["-c", "user.name=T", "-c", "user.email=t@example.com"];

/** Repositories over HTTPS, by git's own CGI program, on a port of loopback. */
export interface GitServer {
  port: number;
  /** Commits these files to a branch of `NAME.git` (main when absent; a new one begins at the commit made last), and gives back the commit. */
  commit: (name: string, files: Record<string, string>, branch?: string) => string;
  close: () => void;
}

/** `host` is the name that its certificate is of; its authority is that of the test's other hosts. */
export async function openGitServer(host: string): Promise<GitServer> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-git-"));
  const context = await hostAuthority.contextFor(host);
  const server = https.createServer({ SNICallback: (_name, done) => done(null, context) }, (request, response) =>
    serve(folder, request, response),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    commit: (name, files, branch = "main") => {
      const bare = path.join(folder, `${name}.git`);
      const work = path.join(folder, `${name}.work`);
      const git = (...args: string[]) => execFileSync("git", ["-C", work, ...IDENTITY, ...args], { encoding: "utf8" });
      if (!existsSync(work)) execFileSync("git", ["init", "-q", "-b", "main", work]);
      if (branch !== "main") git("checkout", "-q", "-B", branch);
      writeFiles(work, files);
      git("add", "-A");
      git("commit", "-q", "-m", "a commit");
      if (!existsSync(bare)) execFileSync("git", ["init", "-q", "--bare", "-b", "main", bare]);
      git("push", "-q", "-f", bare, branch);
      const made = git("rev-parse", "HEAD").trim();
      if (branch !== "main") git("checkout", "-q", "main");
      return made;
    },
    close: () => {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** As RFC 3875 has it. */
function serve(root: string, request: http.IncomingMessage, response: http.ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? "/", "https://host/");
  const env = {
    PATH: process.env.PATH ?? "",
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: "1",
    REQUEST_METHOD: request.method ?? "GET",
    PATH_INFO: pathname,
    QUERY_STRING: search.slice(1),
    CONTENT_TYPE: request.headers["content-type"] ?? "",
    HTTP_CONTENT_ENCODING: String(request.headers["content-encoding"] ?? ""),
    GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
    REMOTE_ADDR: "127.0.0.1",
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "safe.directory",
    GIT_CONFIG_VALUE_0: "*",
  };
  const child = spawn("git", ["http-backend"], { env, stdio: ["pipe", "pipe", "inherit"] });
  request.pipe(child.stdin);
  child.stdin.on("error", () => {});
  const pieces: Buffer[] = [];
  child.stdout.on("data", (piece: Buffer) => pieces.push(piece));
  child.once("close", () => {
    const all = Buffer.concat(pieces);
    const end = all.indexOf("\r\n\r\n");
    for (const line of all.subarray(0, end).toString("latin1").split("\r\n")) {
      const [name = "", value = ""] = line.split(/: (.*)/s);
      if (name.toLowerCase() === "status") response.statusCode = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.end(all.subarray(end + 4));
  });
}
