/** Who begins next: pure, so that it can be looked at in all its cases. */

export interface QueuedTask {
  id: string;
  priority: number;
  /** When it was asked for, ms. A task that begins again keeps its time. */
  createdAtMs: number;
  user: string | undefined;
  labels: Readonly<Record<string, string>>;
  /** Of its VM. */
  cpus: number;
  /** When it was to have begun, ms; absent: it may wait as long as it has to. */
  deadlineAtMs?: number;
}

export interface QueueCaps {
  /** Tasks that work at once. */
  maxRunning: number;
  /** Virtual CPUs of tasks that work at once. One that wants more works alone. */
  maxCpus: number;
  /** Of one user; absent: no cap of its own. */
  maxPerUser: number | undefined;
  /** `KEY` (each value of it has its own count) or `KEY=VALUE` to how many at once. */
  maxPerLabel: Readonly<Record<string, number>>;
}

/** VMs that are made ready while all places are taken, so that the next work begins when one is free. */
export const PREPARED_AHEAD = 2;
/** A priority of one more is worth this much waiting, ms: whoever waits long enough comes before what is more urgent and new. */
export const AGEING_MS = 60_000;

/** The order in which tasks begin: priority with the time waited, then who came first. It never changes, since each waits for as long as the others. */
export function compareQueued(a: QueuedTask, b: QueuedTask): number {
  const rank = ({ priority, createdAtMs }: QueuedTask) => createdAtMs - priority * AGEING_MS;
  return rank(a) - rank(b) || a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

export function orderQueue(queued: readonly QueuedTask[]): QueuedTask[] {
  return [...queued].sort(compareQueued);
}

/** Those of the queue that may begin now, in order, beside those that have begun. A cap that one meets lets others pass. */
export function chooseNext(
  queued: readonly QueuedTask[],
  begun: readonly QueuedTask[],
  caps: QueueCaps,
  places: number,
): QueuedTask[] {
  if (places <= 0) return [];
  const counts = new Map<string, number>();
  const keysOf = (task: QueuedTask) => capKeys(task, caps);
  const add = (task: QueuedTask) => {
    for (const [key] of keysOf(task)) counts.set(key, (counts.get(key) ?? 0) + 1);
  };
  for (const task of begun) add(task);
  const chosen: QueuedTask[] = [];
  for (const task of orderQueue(queued)) {
    // Of large ones no more VMs are made ready than of small ones.
    if (chosen.length >= places || cpusOf([...begun, ...chosen]) >= caps.maxCpus + PREPARED_AHEAD) break;
    if (keysOf(task).some(([key, cap]) => (counts.get(key) ?? 0) >= cap)) continue;
    chosen.push(task);
    add(task);
  }
  return chosen;
}

/** Those whose VMs are ready that may begin to work now, in order, beside those that do. One that wants more CPUs than are left lets nobody pass: it would wait for ever. */
export function chooseWorking(
  ready: readonly QueuedTask[],
  working: readonly QueuedTask[],
  { maxRunning, maxCpus }: Pick<QueueCaps, "maxRunning" | "maxCpus">,
): QueuedTask[] {
  const chosen: QueuedTask[] = [];
  for (const task of orderQueue(ready)) {
    const all = [...working, ...chosen];
    if (all.length >= maxRunning || (all.length > 0 && cpusOf(all) + task.cpus > maxCpus)) break;
    chosen.push(task);
  }
  return chosen;
}

const cpusOf = (tasks: readonly QueuedTask[]) => tasks.reduce((sum, { cpus }) => sum + cpus, 0);

/** What a task counts for, and how many of that there may be. */
function capKeys({ user, labels }: QueuedTask, { maxPerUser, maxPerLabel }: QueueCaps): [string, number][] {
  const keys: [string, number][] = [];
  if (maxPerUser !== undefined) keys.push([`user ${user ?? ""}`, maxPerUser]);
  for (const [label, value] of Object.entries(labels))
    for (const key of [label, `${label}=${value}`]) {
      const cap = maxPerLabel[key];
      if (cap !== undefined) keys.push([key === label ? `label ${label} ${value}` : `label ${key}`, cap]);
    }
  return keys;
}
