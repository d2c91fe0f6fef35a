import { spawnSync } from "node:child_process";
import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { API_VERSION } from "../../src/contract/api-version.ts";
import { PACKAGE_ROOT } from "../../src/platform/package-files.ts";

export interface OtherVersion {
  version: string;
  apiVersion: number;
  /** Its program, as users start it. */
  program: string;
}

/** Installs this package once more below `folder`, as another release of it that speaks a newer API. */
export async function installOtherVersion(folder: string): Promise<OtherVersion> {
  const root = path.join(folder, "other-version");
  await mkdir(root);
  for (const name of ["src", "bin", "kernel", "package.json"])
    await cp(path.join(PACKAGE_ROOT, name), path.join(root, name), { recursive: true });
  for (const name of ["node_modules", "guest-agent"])
    await symlink(path.join(PACKAGE_ROOT, name), path.join(root, name));
  const [version, apiVersion] = ["99.0.0-test", API_VERSION + 1];
  await replaceIn(path.join(root, "package.json"), /("version": )"[^"]+"/, `$1"${version}"`);
  await replaceIn(path.join(root, "src/contract/api-version.ts"), /(API_VERSION = )\d+/, `$1${apiVersion}`);
  const program = path.join(root, "bin", "firebreak");
  const said = spawnSync(program, ["--version"], { encoding: "utf8" });
  if (said.stdout.trim() !== version) throw new Error(`the other version does not run: ${said.stdout}${said.stderr}`);
  return { version, apiVersion, program };
}

async function replaceIn(file: string, pattern: RegExp, by: string): Promise<void> {
  const text = await readFile(file, "utf8");
  if (!pattern.test(text)) throw new Error(`${file} has no ${pattern}`);
  await writeFile(file, text.replace(pattern, by));
}
