/**
 * A Firecracker that is none, started by the program that install.ts writes. Its arguments are Firecracker's; what it is to be comes in the environment
 * variable FAKE_FIRECRACKER, as JSON of FakeSettings.
 */
import { writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { FakeFirecracker } from "./api-server.ts";
import type { FakeSettings } from "./install.ts";
import { PretendedMachine } from "./machine.ts";
import { QemuMachine } from "./qemu-machine.ts";

const settings = JSON.parse(process.env.FAKE_FIRECRACKER ?? "{}") as FakeSettings;
const say = (line: string) => writeSync(1, `${line}\n`);
const fail = (line: string): never => {
  writeSync(2, `${line}\n`);
  process.exit(1);
};

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    "api-sock": { type: "string", default: "/run/firecracker.socket" },
    id: { type: "string", default: "anonymous-instance" },
    version: { type: "boolean" },
    "start-time-us": { type: "string" },
  },
});
if (values.version) {
  say(`Firecracker v${settings.version}\n`);
  process.exit(0);
}
if (!/^[A-Za-z0-9-]{1,64}$/.test(values.id)) fail(`Arguments parsing error: Invalid instance ID: ${values.id}`);

const end = (code: number) => {
  say(
    code === 0 ? "Firecracker exiting successfully. exit_code=0" : `Firecracker exiting with error. exit_code=${code}`,
  );
  process.exit(code);
};
const { vsockDevice, tscKhz } = settings;
const machine =
  tscKhz === undefined
    ? new PretendedMachine()
    : new QemuMachine({ ...(vsockDevice !== undefined && { vsockDevice }), tscKhz, onEnd: end });
const firecracker = new FakeFirecracker(machine, { id: values.id, version: settings.version });
firecracker.onRequest = (request) => {
  if (request === settings.diesAt) process.kill(process.pid, "SIGKILL");
  if (request === settings.hangsAt) process.kill(process.pid, "SIGSTOP");
};
firecracker.onFatal = (reason) => {
  say(reason);
  end(1);
};
await firecracker
  .listen(values["api-sock"])
  .catch((error: Error) => fail(`Failed to open the API socket: ${error.message}`));
say(`Running Firecracker v${settings.version}`);
