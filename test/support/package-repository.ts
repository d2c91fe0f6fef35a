import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const SERVER = `
const [folder, address, port] = process.argv.slice(1);
const { createReadStream, existsSync } = require("node:fs");
require("node:http").createServer((request, response) => {
  const file = require("node:path").join(folder, require("node:path").basename(request.url));
  if (!existsSync(file)) { response.statusCode = 404; return response.end(); }
  createReadStream(file).pipe(response);
}).listen(Number(port), address, () => console.log("ready"));
`;

/** A repository of Debian's kind with one package, which brings one program that says something. `beyond` is what runs a program where it is to be. */
export async function openRepository(beyond: readonly string[], address: string, port: number) {
  const [name, says] = ["firebreak-trial", "installed from beyond"];
  const folder = mkdtempSync(path.join(os.tmpdir(), "fb-apt-"));
  const tree = path.join(folder, "tree");
  const control = `Package: ${name}\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: for a trial\n`;
  mkdirSync(path.join(tree, "DEBIAN"), { recursive: true });
  mkdirSync(path.join(tree, "usr/bin"), { recursive: true });
  for (const [file, content] of [
    ["DEBIAN/control", control],
    ["DEBIAN/postinst", "#!/bin/sh\ntouch /var/lib/firebreak-trial\n"],
    [`usr/bin/${name}`, `#!/bin/sh\ntest -e /var/lib/firebreak-trial && echo ${says}\n`],
  ] as const)
    writeFileSync(path.join(tree, file), content);
  for (const file of ["DEBIAN/postinst", `usr/bin/${name}`]) chmodSync(path.join(tree, file), 0o755);
  chmodSync(tree, 0o755);
  const deb = `${name}_1.0_all.deb`;
  execFileSync("dpkg-deb", ["--build", "--root-owner-group", tree, path.join(folder, deb)], { stdio: "ignore" });
  const bytes = readFileSync(path.join(folder, deb));
  const digest = createHash("sha256").update(bytes).digest("hex");
  writeFileSync(
    path.join(folder, "Packages"),
    `${control}Filename: ./${deb}\nSize: ${bytes.length}\nSHA256: ${digest}\n\n`,
  );
  const [program = "", ...args] = [...beyond, process.execPath, "-e", SERVER, folder, address, String(port)];
  const server = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  await once(server.stdout, "data");
  const close = async () => {
    server.kill("SIGKILL");
    await once(server, "close");
    rmSync(folder, { recursive: true });
  };
  return { name, says, close };
}
