import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The package's root folder: a checkout, or the installed package. */
export const PACKAGE_ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The package's version, from its package.json. */
export function readVersion(): string {
  const manifest = JSON.parse(readFileSync(path.join(PACKAGE_ROOT, "package.json"), "utf8")) as { version: string };
  return manifest.version;
}

/** The guest agent's binary: $FIREBREAK_AGENT, else the package's, else what a checkout has built. The path need not exist. */
export function agentBinaryPath(env: NodeJS.ProcessEnv = process.env): string {
  if (env.FIREBREAK_AGENT) return path.resolve(env.FIREBREAK_AGENT);
  const packaged = path.join(PACKAGE_ROOT, "dist", "firebreak-agent");
  const target = `${process.arch === "arm64" ? "aarch64" : "x86_64"}-unknown-linux-gnu`;
  const built = path.join(PACKAGE_ROOT, "guest-agent", "target", target, "release", "firebreak-agent");
  return existsSync(built) ? built : packaged;
}

/** The folder of the built dashboard: the package's, else what a checkout has built. It need not exist. */
export function dashboardFolder(): string {
  const built = path.join(PACKAGE_ROOT, "dashboard", "dist");
  return existsSync(built) ? built : path.join(PACKAGE_ROOT, "dist", "dashboard");
}

/** The configuration that `firebreak kernel build` builds with. */
export function kernelConfigPath(): string {
  return path.join(PACKAGE_ROOT, "kernel", "minimal.config");
}

/** The file that Node runs for an entry such as `daemon/entry`: TypeScript in a checkout, JavaScript in the package. */
export function entryPath(entry: string): string {
  const source = path.join(PACKAGE_ROOT, "src", `${entry}.ts`);
  return existsSync(source) ? source : path.join(PACKAGE_ROOT, "dist", `${entry}.js`);
}
