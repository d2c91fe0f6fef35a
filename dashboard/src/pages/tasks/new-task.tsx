import { type FormEvent, useEffect, useState } from "react";
import type { AgentInfo } from "../../../../src/contract/routes/task.ts";
import type { Secret } from "../../../../src/contract/secret.ts";
import type { Task } from "../../../../src/contract/task.ts";
import { post } from "../../api/client.ts";
import { useAction } from "../../api/use-action.ts";
import { usePoll } from "../../api/use-poll.ts";
import { Button } from "../../components/button.tsx";
import { FOCUS_FIRST } from "../../components/confirm-dialog.tsx";
import { ErrorBox } from "../../components/feedback.tsx";
import { Field } from "../../components/field.tsx";
import { EMPTY_FORM, type TaskForm, toRequest } from "./task-form.ts";

type TextName = { [Name in keyof TaskForm]: TaskForm[Name] extends string[] ? never : Name }[keyof TaskForm];

/** Whether an agent has what its model wants: one of its keys, or none. */
const isReady = ({ secrets }: AgentInfo) => secrets.length === 0 || secrets.some(({ isSet }) => isSet);

/** The form that a task is begun with: what is needed above, all the rest behind a fold. */
export function NewTask({ onCancel, onMade }: { onCancel: () => void; onMade: (task: Task) => void }) {
  const { data: agentData } = usePoll<{ agents: AgentInfo[] }>("/v1/agents", 0);
  const { data: secretData } = usePoll<{ secrets: Secret[] }>("/v1/secrets", 0);
  const [form, setForm] = useState<TaskForm>(EMPTY_FORM);
  const { isBusy, error, run } = useAction();
  const agents = agentData?.agents ?? [];
  const agent = agents.find(({ name }) => name === form.agent);
  const isCommand = form.agent === "command";
  // The first agent that could work, rather than one whose key is missing.
  useEffect(() => {
    const ready = agentData?.agents.find((one) => isReady(one));
    if (ready !== undefined) setForm((before) => ({ ...before, agent: ready.name }));
  }, [agentData]);
  const set = (name: keyof TaskForm, value: TaskForm[keyof TaskForm]) =>
    setForm((before) => ({ ...before, [name]: value }));
  const text = (name: TextName, more: { type?: string; min?: number; step?: string; placeholder?: string } = {}) => ({
    className: "input",
    value: form[name],
    onChange: (event: { target: { value: string } }) => set(name, event.target.value),
    ...more,
  });
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    void run(async () => onMade(await post<Task>("/v1/tasks", toRequest(form))), "The task is queued");
  };
  return (
    <form className="task-form" onSubmit={onSubmit}>
      <div className="dialog-body">
        {error !== undefined && <ErrorBox error={error} />}
        <Field
          label="Agent"
          hint={
            agent !== undefined && !isReady(agent)
              ? `It needs a key: firebreak secret set ${agent.secrets[0]?.name} --host ${agent.hosts[0] ?? "HOST"}`
              : undefined
          }
        >
          {(ids) => (
            <select
              {...ids}
              className="select"
              value={form.agent}
              onChange={(event) => set("agent", event.target.value)}
            >
              {agents.map((one) => (
                <option key={one.name} value={one.name}>
                  {one.title}
                  {isReady(one) ? "" : " (no key)"}
                </option>
              ))}
            </select>
          )}
        </Field>
        {isCommand ? (
          <Field label="Command" hint="For the VM’s shell.">
            {(ids) => (
              <textarea
                {...ids}
                {...text("command")}
                {...FOCUS_FIRST}
                className="textarea mono"
                required
                spellCheck={false}
                placeholder="make test"
              />
            )}
          </Field>
        ) : (
          <Field label="Prompt">
            {(ids) => (
              <textarea
                {...ids}
                {...text("prompt")}
                {...FOCUS_FIRST}
                className="textarea"
                required
                placeholder="Fix the failing test"
              />
            )}
          </Field>
        )}
        <div className="form-grid">
          <Field label="Git repository" hint="Cloned into the VM.">
            {(ids) => <input {...ids} {...text("git", { type: "url", placeholder: "https://…" })} />}
          </Field>
          <Field label="Branch, tag or commit">
            {(ids) => <input {...ids} {...text("ref", { placeholder: "HEAD" })} />}
          </Field>
        </div>
        <div>
          <details>
            <summary>Machine</summary>
            <div className="form-grid">
              <Field label="Image">{(ids) => <input {...ids} {...text("image")} />}</Field>
              <Field label="Memory, MiB">
                {(ids) => <input {...ids} {...text("memoryMib", { type: "number", min: 1 })} />}
              </Field>
              <Field label="Processors">
                {(ids) => <input {...ids} {...text("cpus", { type: "number", min: 1 })} />}
              </Field>
              <Field label="Disk, MiB">
                {(ids) => <input {...ids} {...text("diskMib", { type: "number", min: 1 })} />}
              </Field>
              <Field label="VMM">
                {(ids) => (
                  <select
                    {...ids}
                    className="select"
                    value={form.driver}
                    onChange={(event) => set("driver", event.target.value)}
                  >
                    <option value="default">as the daemon is set</option>
                    <option value="auto">auto</option>
                    <option value="qemu">QEMU</option>
                    <option value="firecracker">Firecracker</option>
                  </select>
                )}
              </Field>
              <Field label="Accelerator">
                {(ids) => (
                  <select
                    {...ids}
                    className="select"
                    value={form.accel}
                    onChange={(event) => set("accel", event.target.value)}
                  >
                    <option value="auto">auto</option>
                    <option value="kvm">KVM</option>
                    <option value="tcg">emulation (TCG)</option>
                  </select>
                )}
              </Field>
              <Field label="Keep the VM">
                {(ids) => (
                  <select
                    {...ids}
                    className="select"
                    value={form.keepVm}
                    onChange={(event) => set("keepVm", event.target.value)}
                  >
                    <option value="never">never</option>
                    <option value="on-failure">when it fails</option>
                    <option value="always">always</option>
                  </select>
                )}
              </Field>
            </div>
          </details>
          <details>
            <summary>Network, secrets and environment</summary>
            <div className="form-grid">
              <Field label="Network" hint="An agent reaches its model whatever stands here.">
                {(ids) => (
                  <select
                    {...ids}
                    className="select"
                    value={form.network}
                    onChange={(event) => set("network", event.target.value)}
                  >
                    <option value="default">nothing else</option>
                    <option value="allowlist">these hosts</option>
                    <option value="public">all public hosts</option>
                  </select>
                )}
              </Field>
              {form.network === "allowlist" && (
                <Field label="Hosts" hint="Names, *.NAME, or named sets such as registries.">
                  {(ids) => <input {...ids} {...text("allow", { placeholder: "api.github.com registries" })} />}
                </Field>
              )}
              {(secretData?.secrets.length ?? 0) > 0 && (
                <fieldset className="field field-wide checks-field">
                  <legend className="label">Secrets</legend>
                  <div className="checks">
                    {secretData?.secrets.map(({ name }) => (
                      <label key={name}>
                        <input
                          type="checkbox"
                          checked={form.secrets.includes(name)}
                          onChange={(event) =>
                            set(
                              "secrets",
                              event.target.checked
                                ? [...form.secrets, name]
                                : form.secrets.filter((one) => one !== name),
                            )
                          }
                        />
                        {name}
                      </label>
                    ))}
                  </div>
                </fieldset>
              )}
              <div className="field-wide">
                <Field label="Environment" hint="NAME=VALUE, one a line.">
                  {(ids) => <textarea {...ids} {...text("env")} className="textarea mono" spellCheck={false} />}
                </Field>
              </div>
            </div>
          </details>
          <details>
            <summary>Limits and labels</summary>
            <div className="form-grid">
              <Field label="Name">{(ids) => <input {...ids} {...text("name")} />}</Field>
              {!isCommand && <Field label="Model">{(ids) => <input {...ids} {...text("model")} />}</Field>}
              <Field label="Timeout, minutes">
                {(ids) => (
                  <input
                    {...ids}
                    {...text("timeoutMinutes", { type: "number", min: 0, step: "any", placeholder: "60" })}
                  />
                )}
              </Field>
              {!isCommand && (
                <>
                  <Field label="Turns at most">
                    {(ids) => <input {...ids} {...text("maxTurns", { type: "number", min: 1 })} />}
                  </Field>
                  <Field label="Cost at most, USD">
                    {(ids) => <input {...ids} {...text("maxCostUsd", { type: "number", min: 0, step: "any" })} />}
                  </Field>
                </>
              )}
              <Field label="Priority" hint="-100 to 100.">
                {(ids) => <input {...ids} {...text("priority", { type: "number", placeholder: "0" })} />}
              </Field>
              <Field label="Retries" hint="Of failures of the machine.">
                {(ids) => <input {...ids} {...text("maxRetries", { type: "number", min: 0, placeholder: "1" })} />}
              </Field>
              <Field label="Output directory">
                {(ids) => <input {...ids} {...text("outputDir", { placeholder: "/root/output" })} />}
              </Field>
              <Field label="Labels" hint="KEY=VALUE, with spaces between.">
                {(ids) => <input {...ids} {...text("labels", { placeholder: "team=web" })} />}
              </Field>
            </div>
          </details>
        </div>
      </div>
      <footer className="dialog-foot">
        <Button onClick={onCancel}>Cancel</Button>
        <Button tone="primary" isSubmit isBusy={isBusy}>
          Start task
        </Button>
      </footer>
    </form>
  );
}
