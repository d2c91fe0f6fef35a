/** What a line of a unified diff is, by its beginning. */
function classOf(line: string): string {
  if (line.startsWith("@@")) return "diff-line diff-hunk";
  if (line.startsWith("+")) return "diff-line diff-add";
  if (line.startsWith("-")) return "diff-line diff-remove";
  return "diff-line";
}

interface DiffFile {
  name: string;
  /** With their numbers in the whole diff. */
  lines: { at: number; text: string }[];
}

/** The files of a unified diff as git writes it; lines before the first file belong to none and are left out. */
export function parseDiff(diff: string): DiffFile[] {
  const files: DiffFile[] = [];
  let isHead = false;
  for (const [at, text] of diff.split("\n").entries()) {
    const name = /^diff --git a\/.* b\/(.*)$/.exec(text)?.[1];
    if (name !== undefined) {
      files.push({ name, lines: [] });
      isHead = true;
    } else if (text.startsWith("@@") || text.startsWith("Binary ") || text.startsWith("GIT binary")) isHead = false;
    // index, mode and --- +++ say nothing that the name does not.
    if (!isHead && name === undefined) files.at(-1)?.lines.push({ at, text });
  }
  return files;
}

/** Most lines that are drawn: more are for an editor. */
const MAX_LINES = 5_000;

/** A unified diff, file by file. */
export function DiffView({ diff }: { diff: string }) {
  const files = parseDiff(diff);
  let left = MAX_LINES;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled by keys
    <section className="diff" tabIndex={0} aria-label="Changes">
      {files.map(({ name, lines }) => {
        const shown = lines.slice(0, Math.max(0, left));
        left -= shown.length;
        return (
          <div key={name}>
            <h3 className="diff-file">{name}</h3>
            {shown.map(({ at, text }) => (
              <span key={at} className={classOf(text)}>
                {text || " "}
              </span>
            ))}
          </div>
        );
      })}
      {left <= 0 && <p className="diff-file muted">The rest is left out; download the file to see it.</p>}
    </section>
  );
}
