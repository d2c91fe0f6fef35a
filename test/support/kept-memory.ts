import v8 from "node:v8";
import vm from "node:vm";

/** What this process holds that is no garbage, bytes: V8 lets that grow as large as its heap may be before it looks. */
export function keptBytes(): number {
  v8.setFlagsFromString("--expose-gc");
  (vm.runInNewContext("gc") as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
