import type { Progress } from "./progress.ts";

/**
 * Turns the lines of `mmdebstrap --verbose` into progress. apt says how many packages it will install; each is then
 * fetched, unpacked and set up, one line for each.
 */
export function createProgressCounter(): (line: string) => Progress | undefined {
  let planned = 0;
  let done = 0;
  let fraction = 0;
  return (line) => {
    // apt runs more than once (essential packages, then the rest), and each run says its own number.
    const count = /^\d+ upgraded, (\d+) newly installed/.exec(line)?.[1];
    if (count !== undefined) planned += Number(count);
    if (line.startsWith("I: creating tarball")) {
      return { step: "packages", message: "collecting the root filesystem", fraction: 0.99 };
    }
    const step = /^(Get:\d+ \S+ \S+\/main |Unpacking |Setting up )(\S+)/.exec(line);
    if (step === null || planned === 0) return undefined;
    done++;
    // The essential packages are counted before the rest is known: the bar may stand still then, but never goes back.
    fraction = Math.max(fraction, Math.min(0.99, done / Math.max(3 * planned, EXPECTED_STEPS)));
    return { step: "packages", message: describe(step[1] as string, line), fraction };
  };
}

/** Lines of a build of the debian recipe; keeps the bar from running to its end during the first part. */
const EXPECTED_STEPS = 540;

function describe(kind: string, line: string): string {
  if (kind.startsWith("Get:")) return `fetching ${line.split(" ")[4] ?? "a package"}`;
  const name = (line.replace(/^(Unpacking|Setting up) /, "").split(" ")[0] as string).replace(/:[a-z0-9]+$/, "");
  return kind.startsWith("Unpacking") ? `unpacking ${name}` : `setting up ${name}`;
}
