import { once } from "node:events";
import { globSync } from "node:fs";
import path from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";

/**
 * Runs test files by pattern and counts what was skipped: `run-tests.ts [--concurrency=N] [--minutes=N] [--alone=PATTERN] PATTERN…`. Files of `--alone` come first, one
 * at a time: they change what others share. With FIREBREAK_NO_SKIPS=1 a skipped test is a failure.
 */
const patterns = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const flags = (name: string) =>
  process.argv.filter((word) => word.startsWith(`--${name}=`)).map((word) => word.slice(name.length + 3));
const concurrency = Number(flags("concurrency")[0] ?? 2);
const filesOf = (globs: readonly string[]) => [
  ...new Set(globs.flatMap((glob) => globSync(glob)).map((file) => path.resolve(file))),
];
const all = filesOf(patterns).sort();
if (all.length === 0) {
  process.stderr.write(`no test file matches ${patterns.join(" ")}\n`);
  process.exit(1);
}
const alone = new Set(filesOf(flags("alone")));
/** A file's time, ms: one of them builds a kernel when the test home has none. */
const TIMEOUT_MS = Number(flags("minutes")[0] ?? 20) * 60_000;
const SLOWEST_SHOWN = 15;
/** Of a failure, at the very end, where who has only the end of a run's output sees it: its first lines and its last ones. */
const FAILURE_LINES = 3;
const FAILURE_LINE_CHARS = 200;
const counts = { passed: 0, failed: 0 };
const skipped: string[] = [];
const failures: string[] = [];
/** What each file took, for the list of the slowest: they decide how long a run takes. */
const times: { file: string; seconds: number }[] = [];

await runFiles(
  all.filter((file) => alone.has(file)),
  1,
);
await runFiles(
  all.filter((file) => !alone.has(file)),
  concurrency,
);
const slowest = times.sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST_SHOWN);
for (const { file, seconds } of slowest) process.stdout.write(`${seconds.toFixed(1).padStart(8)} s  ${file}\n`);
for (const failure of failures) process.stdout.write(`failed: ${failure}\n`);
for (const name of skipped) process.stdout.write(`skipped: ${name}\n`);
process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${skipped.length} skipped\n`);
const skipsFail = process.env.FIREBREAK_NO_SKIPS === "1" && skipped.length > 0;
process.exitCode = counts.failed > 0 || counts.passed === 0 || skipsFail ? 1 : 0;

async function runFiles(files: string[], atOnce: number): Promise<void> {
  if (files.length === 0) return;
  const stream = run({ files, concurrency: atOnce, timeout: TIMEOUT_MS });
  stream.on("test:pass", (event) => {
    if (event.details.type === "suite") return;
    if (event.skip !== undefined || event.todo !== undefined)
      skipped.push(`${event.name}: ${event.skip ?? event.todo}`);
    else counts.passed++;
  });
  stream.on("test:fail", (event) => {
    if (event.details.type === "suite") return;
    counts.failed++;
    const text = causesOf(event.details.error.cause ?? event.details.error)
      .map((each) => shorten(each))
      .join("\n    because: ");
    const file = event.file === undefined ? "" : `${path.relative(process.cwd(), event.file)}: `;
    failures.push(`${file}${event.name}\n    ${text}`);
  });
  stream.on("test:summary", ({ file, duration_ms }) => {
    if (file !== undefined) times.push({ file: path.relative(process.cwd(), file), seconds: duration_ms / 1000 });
  });
  const report = stream.compose(new spec());
  report.pipe(process.stdout, { end: false });
  await once(report, "end");
}

/** An error's message, that of its cause, and so on. */
function causesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return error === undefined ? [] : [String(error)];
  return [error.message, ...causesOf(error.cause)];
}

function shorten(message: string): string {
  const lines = message
    .split("\n")
    .map((line) => line.slice(0, FAILURE_LINE_CHARS))
    .filter((line) => line.trim() !== "");
  const left = lines.length - 2 * FAILURE_LINES;
  if (left > 0) lines.splice(FAILURE_LINES, left, `(${left} lines more)`);
  return lines.join("\n    ");
}
