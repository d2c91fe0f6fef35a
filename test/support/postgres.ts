import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "./free-port.ts";

/** Where Debian has the programs of each version. */
const VERSIONS = "/usr/lib/postgresql";
const START_DEADLINE_MS = 60_000;
/** Of the guest's own libc: another one would not go with its loader. */
const LIBC = /^(?:libc|libm|libresolv|libdl|libpthread|librt|ld-linux.*)\.so/;

/** A PostgreSQL server of a test's own, on loopback, with passwords and TLS. */
export interface Postgres {
  port: number;
  user: string;
  password: string;
  /** Of the certificate's own making, PEM. */
  certificateFile: string;
  close: () => Promise<void>;
}

/** `name` is what its certificate is for. */
export async function startPostgres(name: string): Promise<Postgres> {
  const account = accountOfServer();
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-postgres-"));
  const hand = (file: string) => account !== undefined && chownSync(file, account.uid, account.gid);
  hand(folder);
  const [data, keyFile, certificateFile] = ["data", "server.key", "server.crt"].map((part) => path.join(folder, part));
  const [user, password] = ["keeper", "correct horse"];
  const passwordFile = path.join(folder, "password");
  writeFileSync(passwordFile, password);
  hand(passwordFile);
  const options = { cwd: folder, stdio: ["ignore", "ignore", "pipe"] as ["ignore", "ignore", "pipe"], ...account };
  const run = (program: string, args: string[]) => execFileSync(program, args, options);
  const openssl = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
  run("openssl", [...openssl, ...subject, "-keyout", keyFile as string, "-out", certificateFile as string]);
  const authentication = ["--auth-local=reject", "--auth-host=scram-sha-256", `--pwfile=${passwordFile}`];
  run(program("initdb"), ["-D", data as string, "-U", user as string, "-E", "UTF8", "--no-sync", ...authentication]);
  const port = await freePort();
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    // No socket in a folder that others share.
    unix_socket_directories: "",
    fsync: "off",
    ssl: "on",
    ssl_cert_file: certificateFile,
    ssl_key_file: keyFile,
  };
  const words = Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]);
  const server = spawn(program("postgres"), ["-D", data as string, ...words], options);
  const close = async () => {
    if (server.exitCode === null && server.signalCode === null) {
      const ended = once(server, "exit");
      // "Fast": what clients have open is rolled back.
      server.kill("SIGINT");
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await untilReady(server.stderr);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    port,
    user: user as string,
    password: password as string,
    certificateFile: certificateFile as string,
    close,
  };
}

/** Copies psql and what it needs besides a libc of this host's age; there it is run with LD_LIBRARY_PATH. */
export function copyPsql(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const psql = program("psql");
  copyFileSync(psql, path.join(folder, "psql"));
  const linked = execFileSync("ldd", [psql], { encoding: "utf8" });
  for (const [, name, file] of linked.matchAll(/^\s*(\S+) => (\/\S+)/gm))
    if (!LIBC.test(name as string)) copyFileSync(file as string, path.join(folder, name as string));
}

/** The server refuses to run as root: the package makes it an account. */
function accountOfServer(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** The newest version's; the server's programs are in nobody's PATH. */
function program(name: string): string {
  const [newest] = readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a));
  return path.join(VERSIONS, newest ?? "", "bin", name);
}

function untilReady(log: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = "";
    const fail = () => reject(new Error(`the server does not start: ${text}`));
    const timer = setTimeout(fail, START_DEADLINE_MS);
    // Read to its end: a server whose log nobody reads stands still.
    log.on("data", (bytes: Buffer) => {
      if (text.length < 64 * 1024) text += bytes;
      if (!text.includes("ready to accept connections")) return;
      clearTimeout(timer);
      resolve();
    });
    log.once("close", () => {
      clearTimeout(timer);
      fail();
    });
  });
}
