import { useState } from "react";
import { useLocation, useSearchParams } from "wouter";
import type { Task, TaskState } from "../../../../src/contract/task.ts";
import { get, withQuery } from "../../api/client.ts";
import { useAction } from "../../api/use-action.ts";
import { usePoll } from "../../api/use-poll.ts";
import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/confirm-dialog.tsx";
import { Empty, ErrorBox, Loading } from "../../components/feedback.tsx";
import { Card, Page } from "../../components/page.tsx";
import { NewTask } from "./new-task.tsx";
import { nameOf } from "./task-name.ts";
import { TaskTable } from "./task-table.tsx";
import "./tasks.css";

const POLL_MS = 2_000;
const PAGE_SIZE = 100;
const FILTERS: readonly { id: string; label: string; states: readonly TaskState[] }[] = [
  { id: "all", label: "All", states: [] },
  { id: "active", label: "Active", states: ["queued", "starting", "running", "collecting"] },
  { id: "completed", label: "Completed", states: ["completed"] },
  { id: "failed", label: "Failed", states: ["failed", "cancelled"] },
];

/** All tasks, with filters that are part of the address. */
export default function TasksPage() {
  const [, navigate] = useLocation();
  const [parameters, setParameters] = useSearchParams();
  const [isNewOpen, setNewOpen] = useState(parameters.has("new"));
  const [text, setText] = useState("");
  const [older, setOlder] = useState<{ of: string; tasks: Task[]; isAll: boolean }>();
  const action = useAction();
  const filter = FILTERS.find(({ id }) => id === parameters.get("show")) ?? FILTERS[0];
  const label = parameters.get("label") ?? "";
  const path = withQuery("/v1/tasks", { state: filter?.states, label, limit: PAGE_SIZE });
  const { data, error, refresh } = usePoll<{ tasks: Task[] }>(path, POLL_MS);
  const newest = data?.tasks ?? [];
  const isOlderHere = older?.of === path;
  const known = new Set(newest.map(({ id }) => id));
  const all = [...newest, ...(isOlderHere ? older.tasks.filter(({ id }) => !known.has(id)) : [])];
  const words = text.trim().toLowerCase();
  const shown = all.filter((task) =>
    `${nameOf(task)} ${task.agent} ${task.id} ${task.user ?? ""}`.toLowerCase().includes(words),
  );
  const hasMore = isOlderHere ? !older.isAll : newest.length === PAGE_SIZE;
  const loadOlder = () =>
    action.run(async () => {
      const { tasks } = await get<{ tasks: Task[] }>(withQuery(path, {}), {
        query: { before: all.at(-1)?.id },
      });
      setOlder({ of: path, tasks: [...(isOlderHere ? older.tasks : []), ...tasks], isAll: tasks.length < PAGE_SIZE });
    });
  const setParameter = (name: string, value: string) =>
    setParameters(
      (before) => {
        const next = new URLSearchParams(before);
        if (value === "") next.delete(name);
        else next.set(name, value);
        return next;
      },
      { replace: true },
    );
  return (
    <Page
      title="Tasks"
      actions={
        <Button tone="primary" icon="plus" onClick={() => setNewOpen(true)}>
          New task
        </Button>
      }
    >
      <div className="filters">
        <fieldset className="segments">
          <legend className="visually-hidden">Show</legend>
          {FILTERS.map(({ id, label: title }) => (
            <button
              key={id}
              type="button"
              aria-pressed={id === filter?.id}
              onClick={() => setParameter("show", id === "all" ? "" : id)}
            >
              {title}
            </button>
          ))}
        </fieldset>
        <input
          className="input filter-text"
          type="search"
          aria-label="Filter by text"
          placeholder="Filter"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <input
          className="input filter-label"
          aria-label="Only with the label"
          placeholder="Label: team=web"
          defaultValue={label}
          onKeyDown={(event) => {
            if (event.key === "Enter") setParameter("label", event.currentTarget.value.trim());
          }}
          onBlur={(event) => setParameter("label", event.currentTarget.value.trim())}
        />
      </div>
      {error !== undefined && <ErrorBox error={error} onRetry={refresh} />}
      <Card isFlush>
        {data === undefined ? (
          error === undefined && <Loading label="Loading tasks" />
        ) : (
          <TaskTable
            label="Tasks"
            tasks={shown}
            empty={
              <Empty
                icon="task"
                title={all.length === 0 && filter?.id === "all" ? "No tasks yet" : "No task is like that"}
              >
                A task is a prompt for a coding agent, or any command, in a VM of its own.
              </Empty>
            }
          />
        )}
      </Card>
      {hasMore && (
        <div className="more">
          <Button isBusy={action.isBusy} onClick={loadOlder}>
            Load older tasks
          </Button>
        </div>
      )}
      <Dialog title="New task" isOpen={isNewOpen} onClose={() => setNewOpen(false)} isWide>
        <NewTask onCancel={() => setNewOpen(false)} onMade={({ id }) => navigate(`/tasks/${id}`)} />
      </Dialog>
    </Page>
  );
}
