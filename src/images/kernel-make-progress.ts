import type { Progress } from "./progress.ts";

/** Lines of a build of our configuration (CC, AS and AR, 6.1.192). A newer source may have some more: the bar then waits at its end. */
const EXPECTED_STEPS = 1920;

/** Turns the lines of the kernel's make into progress: it prints one for each file that it makes. */
export function createMakeCounter(): (line: string) => Progress | undefined {
  let done = 0;
  let lastPercent = -1;
  return (line) => {
    const file = /^ {2}(?:CC|AS|AR) +(\S+)$/.exec(line)?.[1];
    if (file === undefined) {
      const isLinking = /^ {2}(LD|KSYMS) +\.?(tmp_)?vmlinux/.test(line);
      return isLinking ? { step: "kernel-build", message: "linking the kernel", fraction: 0.99 } : undefined;
    }
    done++;
    const fraction = Math.min(0.98, done / EXPECTED_STEPS);
    const percent = Math.floor(fraction * 100);
    // A bar does not need more than whole percents.
    if (percent === lastPercent) return undefined;
    lastPercent = percent;
    return { step: "kernel-build", message: `building the kernel: ${file}`, fraction };
  };
}
