import { writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

export interface FakeSettings {
  version: string;
  /** With this a real guest runs behind the API, without it none does. */
  tscKhz?: number;
  /** Its guest has a vsock; without this it has virtio ports in its place, and can be saved. */
  vsockDevice?: string;
  /** Its threads have no seccomp filter, as with `--no-seccomp`. */
  isUnfiltered?: boolean;
  /** It ends without an answer at this request, such as "PUT /vsock". */
  diesAt?: string;
  /** It stands still at this request. */
  hangsAt?: string;
}

/**
 * What a fake Firecracker is started under: a filter that allows all system calls, so that its status in /proc is that of a process which is filtered. It says so
 * in the numbers of seccomp(2): PR_SET_NO_NEW_PRIVS 38, PR_SET_SECCOMP 22, SECCOMP_MODE_FILTER 2, and one BPF instruction (BPF_RET | BPF_K, SECCOMP_RET_ALLOW).
 */
const FILTERED = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
allow = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0x7fff0000))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 1, ctypes.addressof(allow)))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):
    sys.exit("the filter is not taken")
os.execv(sys.argv[1], sys.argv[1:])
`;

/** Writes the fake's programs, named as Firecracker's and its jailer, into a folder that all may enter. Returns the path of the first. */
export async function installFakeFirecracker(folder: string, settings: FakeSettings): Promise<string> {
  const program = path.join(folder, "firecracker");
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const filter = path.join(folder, "filtered.py");
  await writeFile(filter, FILTERED);
  const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
  const node = [process.execPath, "--disable-warning=ExperimentalWarning", main].map(quote);
  const command = settings.isUnfiltered ? node : ["/usr/bin/python3", quote(filter), ...node];
  const script = `#!/bin/sh\nexport FAKE_FIRECRACKER=${quote(JSON.stringify(settings))}\nexec ${command.join(" ")} "$@"\n`;
  await writeFile(program, script, { mode: 0o755 });
  const jailer = fileURLToPath(new URL("jailer.ts", import.meta.url));
  const words = [process.execPath, "--disable-warning=ExperimentalWarning", jailer].map(quote);
  const jail = `#!/bin/sh\nexport FAKE_JAILER_VERSION=${quote(settings.version)}\nexec ${words.join(" ")} "$@"\n`;
  await writeFile(path.join(folder, "jailer"), jail, { mode: 0o755 });
  return program;
}
