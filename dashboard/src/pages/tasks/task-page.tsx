import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { Link, useLocation } from "wouter";
import type { Task } from "../../../../src/contract/task.ts";
import { post, request } from "../../api/client.ts";
import { useAction } from "../../api/use-action.ts";
import { usePoll } from "../../api/use-poll.ts";
import { Chip, StateBadge } from "../../components/badge.tsx";
import { Button } from "../../components/button.tsx";
import { ConfirmDialog } from "../../components/confirm-dialog.tsx";
import { ErrorBox, Loading } from "../../components/feedback.tsx";
import { Card, Facts, Page } from "../../components/page.tsx";
import { type Tab, Tabs } from "../../components/tabs.tsx";
import { formatCompact, formatCount, formatCountOf, formatDateTime, formatUsd } from "../../format.ts";
import { FilesView, FileText, isDiff } from "./files-view.tsx";
import { LogStore } from "./log/log-store.ts";
import { LogView } from "./log/log-view.tsx";
import { durationOf, hasEnded, nameOf, tokensOf } from "./task-name.ts";
import "./tasks.css";

const POLL_MS = 1_500;

/** One task: what it says and does as it happens, and what is left of it. */
export default function TaskPage({ id }: { id: string }) {
  const [, navigate] = useLocation();
  const [isOver, setOver] = useState(false);
  const { data: task, error, refresh } = usePoll<Task>(`/v1/tasks/${encodeURIComponent(id)}`, isOver ? 0 : POLL_MS);
  const store = useMemo(() => new LogStore(id), [id]);
  const log = useSyncExternalStore(store.subscribe, store.getSnapshot);
  const [tab, setTab] = useState("log");
  const [asks, setAsks] = useState<"cancel" | "delete">();
  const action = useAction();
  const isKnown = task !== undefined;
  useEffect(() => {
    if (!isKnown) return;
    const aborter = new AbortController();
    store.follow(aborter.signal);
    return () => aborter.abort();
  }, [store, isKnown]);
  useEffect(() => setOver(task !== undefined && hasEnded(task)), [task]);
  if (task === undefined)
    return (
      <Page title="Task">
        {error === undefined ? <Loading label="Loading the task" /> : <ErrorBox error={error} onRetry={refresh} />}
      </Page>
    );
  const path = `/v1/tasks/${encodeURIComponent(id)}`;
  const cancel = async () => {
    setAsks(undefined);
    if (await action.run(() => post(`${path}/cancel`), "The task is cancelled")) await refresh();
  };
  const retry = () =>
    action.run(async () => {
      const { id: next } = await post<Task>(`${path}/retry`);
      navigate(`/tasks/${next}`);
    }, "Queued again");
  const remove = async () => {
    setAsks(undefined);
    if (await action.run(() => request("DELETE", path), "The task is deleted")) navigate("/tasks");
  };
  const files = task.files ?? [];
  const diff = files.find((file) => isDiff(file) && /(^|\/)workspace\.diff$/.test(file.path));
  const tabs: Tab[] = [
    { id: "log", label: "Log", content: () => <LogView log={log} isFollowing={!hasEnded(task)} /> },
    {
      id: "files",
      label: files.length === 0 ? "Files" : `Files (${formatCount(files.length)})`,
      content: () => <FilesView task={id} files={files} />,
    },
    ...(diff === undefined
      ? []
      : [
          {
            id: "changes",
            label: "Changes",
            content: () => (
              <Card isFlush>
                <FileText task={id} file={diff} />
              </Card>
            ),
          },
        ]),
    { id: "details", label: "Details", content: () => <Details task={task} /> },
  ];
  return (
    <Page
      title={nameOf(task)}
      badge={
        <>
          <StateBadge state={task.state} />
          {!hasEnded(task) && <Live isLive={log.isLive} />}
        </>
      }
      about={<Summary task={task} />}
      actions={
        hasEnded(task) ? (
          <>
            <Button icon="retry" isBusy={action.isBusy} onClick={retry}>
              Retry
            </Button>
            <Button tone="quiet" icon="trash" aria-label="Delete the task" onClick={() => setAsks("delete")} />
          </>
        ) : (
          <Button tone="danger" icon="stop" isBusy={action.isBusy} onClick={() => setAsks("cancel")}>
            Cancel
          </Button>
        )
      }
    >
      {task.error !== undefined && <ErrorBox error={task.error} />}
      <Tabs label="Task" tabs={tabs} selected={tab} onSelect={setTab} />
      <ConfirmDialog
        title="Cancel the task?"
        isOpen={asks === "cancel"}
        action="Cancel the task"
        onConfirm={cancel}
        onClose={() => setAsks(undefined)}
      >
        <p>What runs in its VM is ended. Its log stays, and so does what it has left in its output directory.</p>
      </ConfirmDialog>
      <ConfirmDialog
        title="Delete the task?"
        isOpen={asks === "delete"}
        action="Delete"
        onConfirm={remove}
        onClose={() => setAsks(undefined)}
      >
        <p>Its log and files are deleted with it. What it used stays counted.</p>
      </ConfirmDialog>
    </Page>
  );
}

/** Whether events come as they are made. */
function Live({ isLive }: { isLive: boolean }) {
  return (
    <span className={isLive ? "live" : "live live-off"} role="status">
      <span className={isLive ? "dot dot-live" : "dot"} aria-hidden="true" />
      {isLive ? "live" : "reconnecting"}
    </span>
  );
}

/** The figures of a task in one line; its time goes on as one looks. */
function Summary({ task }: { task: Task }) {
  const [nowMs, setNowMs] = useState(Date.now());
  const isOver = hasEnded(task);
  useEffect(() => {
    if (isOver) return;
    const timer = setInterval(() => setNowMs(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [isOver]);
  const tokens = tokensOf(task);
  const facts = [
    task.agent === "command" ? "command" : [task.agent, task.model].filter(Boolean).join(" · "),
    durationOf(task, isOver ? undefined : nowMs),
    task.position === undefined ? undefined : `number ${task.position} in the queue`,
    tokens > 0 ? `${formatCompact(tokens)} tokens` : undefined,
    task.usage?.cost === undefined ? undefined : formatUsd(task.usage.cost.usd),
    task.exitCode === undefined ? undefined : `exit code ${task.exitCode}`,
    // An error is told below, with what there is to do.
    task.state === "completed" || task.error !== undefined ? undefined : task.reason,
  ].filter((fact): fact is string => fact !== undefined && fact !== "");
  return <p className="task-summary">{[...new Set(facts)].join(" · ")}</p>;
}

function Details({ task }: { task: Task }) {
  const labels = Object.entries(task.labels);
  const time = (at: string | undefined) => (at === undefined ? undefined : formatDateTime(at));
  return (
    <div className="task-side">
      <Card title={task.prompt === undefined ? "Command" : "Prompt"}>
        <pre className={task.prompt === undefined ? "task-prompt mono" : "task-prompt task-prompt-text"}>
          {task.prompt ??
            task.argv?.map((word) => (/^[\w./:=@-]+$/.test(word) ? word : JSON.stringify(word))).join(" ")}
        </pre>
      </Card>
      <Card title="Facts">
        <Facts
          facts={[
            ["Id", <code key="id">{task.id}</code>],
            ["Agent", task.agent],
            ["Model", task.model],
            [
              "VM",
              task.vm === undefined ? undefined : (
                <Link key="vm" href={`/vms/${task.vm.id}`}>
                  {task.vm.name}
                </Link>
              ),
            ],
            ["Made", time(task.createdAt)],
            ["Started", time(task.startedAt)],
            ["Ended", time(task.endedAt)],
            ["Asked for by", task.user ?? "somebody on this host"],
            ["Priority", String(task.priority)],
            ["Attempt", task.attempt > 0 ? String(task.attempt) : undefined],
            ["Finish", task.finish],
            [
              "Labels",
              labels.length === 0
                ? undefined
                : labels.map(([key, value]) => <Chip key={key}>{value === "" ? key : `${key}=${value}`}</Chip>),
            ],
          ]}
        />
      </Card>
      {task.usage !== undefined && (
        <Card title="Usage">
          <Facts
            facts={[
              [
                "Cost",
                task.usage.cost === undefined
                  ? undefined
                  : `${formatUsd(task.usage.cost.usd)} (${task.usage.cost.source})`,
              ],
              ["VM time", `${task.usage.vmSeconds.toFixed(1)} s`],
              ...task.usage.tokens.flatMap(
                ({ model = "model", input, output, cacheRead, cacheWrite }) =>
                  [
                    [`${model}: input`, formatCount(input)],
                    [`${model}: output`, formatCount(output)],
                    [`${model}: cache`, `${formatCount(cacheRead)} read, ${formatCount(cacheWrite)} written`],
                  ] as const,
              ),
            ]}
          />
        </Card>
      )}
      {task.webhooks !== undefined && task.webhooks.length > 0 && (
        <Card title="Webhooks">
          <Facts
            facts={task.webhooks.map(
              ({ host, state, tries }) => [host, `${state}, ${formatCountOf(tries, "try", "tries")}`] as const,
            )}
          />
        </Card>
      )}
    </div>
  );
}
