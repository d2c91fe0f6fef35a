import type { Forward, ForwardCreate } from "../contract/forward.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";

const SPEC = /^(?:(?:(?<address>\[[0-9a-fA-F:.]+\]|[0-9.]+|localhost):)?(?<hostPort>\d{1,5}):)?(?<guestPort>\d{1,5})$/;

/** `GUEST_PORT`, `HOST_PORT:GUEST_PORT` or `HOST_ADDRESS:HOST_PORT:GUEST_PORT`; an IPv6 address stands in brackets. Throws INVALID_ARGUMENT. */
export function parseForward(text: string): ForwardCreate {
  const groups = SPEC.exec(text)?.groups;
  if (groups === undefined) throw malformed(text);
  const [guestPort, hostPort] = [Number(groups.guestPort), Number(groups.hostPort ?? 0)];
  if (guestPort < 1 || guestPort > 65_535 || hostPort > 65_535) throw malformed(text);
  const address = groups.address === "localhost" ? "127.0.0.1" : groups.address?.replace(/^\[|\]$/g, "");
  return { guestPort, hostPort, ...(address === undefined ? {} : { hostAddress: address }) };
}

function malformed(text: string): FirebreakError {
  return new FirebreakError("INVALID_ARGUMENT", `'${text}' is not a port to forward`, {
    hint: "Such as 8080:80, 80 (a free port of this host), or 0.0.0.0:8080:80 (for other machines, too).",
  });
}

/** `127.0.0.1:8080`, as a browser takes it. */
export function hostEnd({ hostAddress, hostPort }: Pick<Forward, "hostAddress" | "hostPort">): string {
  return hostAddress.includes(":") ? `[${hostAddress}]:${hostPort}` : `${hostAddress}:${hostPort}`;
}

/** Where the ports of a new VM are, beside what else it prints: on stderr. */
export function announceForwards(forwards: Forward[]): void {
  for (const forward of forwards) {
    process.stderr.write(`${hostEnd(forward)} -> ${forward.vm.name}:${forward.guestPort}\n`);
    if (forward.warning !== undefined) process.stderr.write(`firebreak: warning: ${forward.warning}\n`);
  }
}

/** Where a new forward is, on stdout; who else gets in, on stderr. */
export function printForward(forward: Forward): void {
  process.stdout.write(`${hostEnd(forward)} -> ${forward.vm.name}:${forward.guestPort}\n`);
  if (forward.warning !== undefined) process.stderr.write(`firebreak: warning: ${forward.warning}\n`);
  if (forward.reason !== undefined) process.stderr.write(`firebreak: it is ${forward.state}: ${forward.reason}\n`);
}
