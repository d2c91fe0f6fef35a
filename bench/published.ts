/** What others publish of theirs, with the conditions that are known. Nothing of it was measured here. */
export const PUBLISHED: { system: string; figure: string; conditions: string }[] = [
  {
    system: "Firecracker",
    figure: "at most 125 ms to init; at most 5 MiB of overhead",
    conditions: "enforced by its CI; bare metal, minimal kernel, no serial console",
  },
  {
    system: "Firecracker",
    figure: "3 ms for a restore, 8.5 ms with the console logged",
    conditions: "its documentation; aarch64",
  },
  {
    system: "nucleus",
    figure: "79 ms cold, 151 ms snapshot, 7 ms restore",
    conditions: "Firecracker 1.16.1, 256 MiB, KVM in Lima",
  },
  {
    system: "gondolin, Firecracker",
    figure: "223 to 1010 ms to the first exec",
    conditions: "nested KVM, tiny kernel, no network",
  },
  { system: "gondolin, QEMU", figure: "11.14 s", conditions: "the same host, stock Alpine: not like for like" },
  {
    system: "Celesto SmolVM",
    figure: "345 ms (QEMU microvm), 983 ms (QEMU q35), 1057 ms (Firecracker)",
    conditions: "Ubuntu; Firecracker paid for sudo and a TAP device",
  },
  { system: "Celesto, exec", figure: "1.0 ms over vsock, 43 ms over SSH", conditions: "warm" },
  {
    system: "microsandbox, Docker, Firecracker",
    figure: "320, 463, 808 ms",
    conditions: "start to exit; bare metal; measured by one of the contestants",
  },
  { system: "E2B", figure: "pause 4 s per GiB, resume 1 s", conditions: "its documentation" },
  { system: "CubeSandbox", figure: "less than 60 ms for a create", conditions: "the vendor's claim" },
  { system: "Kata Containers", figure: "850 to 950 ms", conditions: "160 MiB of overhead per pod" },
];
