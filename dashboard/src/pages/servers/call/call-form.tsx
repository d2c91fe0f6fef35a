import { type FormEvent, useEffect, useRef, useState } from "react";
import { ApiError } from "../../../api/client.ts";
import { toApiError } from "../../../api/use-poll.ts";
import { Button } from "../../../components/button.tsx";
import { ErrorBox } from "../../../components/feedback.tsx";
import { Field } from "../../../components/field.tsx";
import { formatDuration } from "../../../format.ts";
import { formatJson, showLine } from "../../../text.ts";
import type { McpConnection, ToolDefinition, ToolResult } from "../mcp/connection.ts";
import { ArgumentField } from "./argument-field.tsx";
import { ResultView } from "./result-view.tsx";
import { argumentsOf, fieldsOf } from "./schema-form.ts";

interface CallFormProps {
  connection: McpConnection;
  tool: ToolDefinition;
  onClose: () => void;
}
interface Outcome {
  result: ToolResult;
  ms: number;
}

/** Calls a tool by hand, with a form of its input schema or with JSON. */
export function CallForm({ connection, tool, onClose }: CallFormProps) {
  const [fields] = useState(() => fieldsOf(tool.inputSchema));
  const [texts, setTexts] = useState(() =>
    Object.fromEntries((fields ?? []).map(({ name, initial }) => [name, initial])),
  );
  const [json, setJson] = useState(fields === undefined ? "{}" : undefined);
  const [progress, setProgress] = useState("");
  const [outcome, setOutcome] = useState<Outcome>();
  const [error, setError] = useState<ApiError>();
  const [call, setCall] = useState<AbortController>();
  // Who closes the dialog has no more interest in the answer.
  const running = useRef(call);
  running.current = call;
  useEffect(() => () => running.current?.abort(), []);
  const toJson = () => {
    try {
      setJson(formatJson(argumentsOf(fields ?? [], texts)));
      setError(undefined);
    } catch (thrown) {
      setError(invalid(thrown));
    }
  };
  const onSubmit = async (event: FormEvent) => {
    event.preventDefault();
    setOutcome(undefined);
    setError(undefined);
    setProgress("");
    let args: unknown;
    try {
      args = json === undefined ? argumentsOf(fields ?? [], texts) : JSON.parse(json);
    } catch (thrown) {
      return setError(invalid(thrown));
    }
    const controller = new AbortController();
    setCall(controller);
    const beganAt = performance.now();
    try {
      const options = { signal: controller.signal, onProgress: setProgress };
      const result = await connection.callTool(tool.name, args, options);
      setOutcome({ result, ms: performance.now() - beganAt });
    } catch (thrown) {
      if (!controller.signal.aborted) setError(toApiError(thrown));
    } finally {
      setCall(undefined);
    }
  };
  return (
    <form onSubmit={onSubmit}>
      <div className="dialog-body">
        {json === undefined &&
          fields?.map((field) => (
            <ArgumentField
              key={field.name}
              field={field}
              value={texts[field.name] ?? ""}
              onChange={(value) => setTexts({ ...texts, [field.name]: value })}
            />
          ))}
        {json === undefined && fields?.length === 0 && <p className="muted">It takes no arguments.</p>}
        {json !== undefined && (
          <Field label="Arguments, as JSON">
            {(ids) => (
              <textarea
                {...ids}
                className="textarea mono"
                rows={8}
                spellCheck={false}
                value={json}
                onChange={(event) => setJson(event.target.value)}
              />
            )}
          </Field>
        )}
        {error !== undefined && <ErrorBox error={error} />}
        <p className="muted" role="status">
          {call !== undefined && `Under way ${showLine(progress).slice(0, 200)}`}
          {outcome !== undefined && `Answered after ${formatDuration(outcome.ms)}`}
        </p>
        {outcome !== undefined && <ResultView result={outcome.result} />}
      </div>
      <footer className="dialog-foot">
        {json === undefined && (
          <Button tone="quiet" onClick={toJson}>
            As JSON
          </Button>
        )}
        {call === undefined ? (
          <Button onClick={onClose}>Back</Button>
        ) : (
          <Button onClick={() => call.abort()}>Cancel</Button>
        )}
        <Button tone="primary" isSubmit isBusy={call !== undefined}>
          Call
        </Button>
      </footer>
    </form>
  );
}

function invalid(thrown: unknown): ApiError {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new ApiError(0, { code: "INVALID_ARGUMENT", message: showLine(message).slice(0, 300) });
}
