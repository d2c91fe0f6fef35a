import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { startDaemonFixture } from "../test/support/daemon-fixture.ts";
import { type Row, round } from "./stats.ts";

const FILES = 100_000;
const READ = 2_000;
const MADE = 1_000;
const COPIED_MIB = 64;

/** A live mount of a hundred thousand small files beside the guest's own disk: nothing is held against it, it shows what a round trip costs. */
export async function benchMount(): Promise<Row[]> {
  const { client, folder, close } = await startDaemonFixture();
  try {
    const host = path.join(folder, "many");
    for (let index = 0; index < FILES; index++) {
      const place = path.join(host, `d${index % 100}`);
      if (index < 100) mkdirSync(place, { recursive: true });
      writeFileSync(path.join(place, `f${index}`), String(index));
    }
    const mounts = [{ hostPath: host, guestPath: "/many", access: "rw" as const }];
    const vm = await client.vms.create({ accel: "tcg", mounts });
    const timed = async (script: string) => {
      const startedMs = performance.now();
      const stream = await client.execs.start(vm.name, { argv: ["bash", "-euc", script] });
      for await (const _ of stream.output());
      return performance.now() - startedMs;
    };
    const row = (what: string, value: number, floor?: number): Row => ({
      ...{ what, unit: "ms" as const, value: round(value, 3), bar: "none", holds: true },
      ...(floor === undefined ? {} : { floor: round(floor, 3), floorIs: "the same on the guest's own disk" }),
    });
    const local = "/root/local";
    await timed(`mkdir ${local}; for i in $(seq 0 ${READ - 1}); do echo $i > ${local}/f$i; done`);
    const listed = await timed("find /many -type f -size -2 | wc -l");
    const read = (place: string) => timed(`cat ${place}/f* > /dev/null`);
    const some = `/many/d{0,1}`;
    const make = (place: string) =>
      timed(`mkdir ${place}; for i in $(seq ${MADE}); do echo $i > ${place}/n$i; done; rm -r ${place}`);
    const copy = (place: string) => timed(`dd if=/dev/zero of=${place}/big bs=1M count=${COPIED_MIB} status=none`);
    return [
      row(`mount: ${FILES} files listed with their attributes, each`, listed / FILES),
      row("mount: a small file read", (await read(some)) / READ, (await read(local)) / READ),
      row("mount: a small file made and removed", (await make("/many/new")) / MADE, (await make("/root/new")) / MADE),
      row("mount: a MiB written", (await copy("/many")) / COPIED_MIB, (await copy("/root")) / COPIED_MIB),
    ];
  } finally {
    await close();
  }
}
