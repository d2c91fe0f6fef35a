import { useEffect, useState } from "react";
import { Field } from "../../components/field.tsx";
import { type Filter, SPANS, VERDICTS } from "./filter.ts";

/** What is typed is asked for when nothing more has been typed for this long, ms. */
const TYPING_MS = 300;

export function FilterBar({ filter, onChange }: { filter: Filter; onChange: (changes: Partial<Filter>) => void }) {
  return (
    <search className="filter-bar">
      <TextFilter label="Server" onChange={(server) => onChange({ server })} />
      <TextFilter label="Client" onChange={(client) => onChange({ client })} />
      <Field label="Verdict">
        {(ids) => (
          <select
            {...ids}
            className="select"
            value={filter.verdict ?? ""}
            onChange={(event) => onChange({ verdict: VERDICTS.find((one) => one === event.target.value) })}
          >
            <option value="">Any</option>
            {VERDICTS.map((verdict) => (
              <option key={verdict} value={verdict}>
                {verdict.replace("_", " ")}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Time">
        {(ids) => (
          <select
            {...ids}
            className="select"
            value={filter.span}
            onChange={(event) =>
              onChange({ span: SPANS.find(({ id }) => id === event.target.value)?.id ?? "all", chosenAtMs: Date.now() })
            }
          >
            {SPANS.map(({ id, label }) => (
              <option key={id} value={id}>
                {label}
              </option>
            ))}
          </select>
        )}
      </Field>
    </search>
  );
}

function TextFilter({ label, onChange }: { label: string; onChange: (text: string | undefined) => void }) {
  const [text, setText] = useState<string>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text is what it waits for
  useEffect(() => {
    if (text === undefined) return;
    const timer = setTimeout(() => onChange(text.trim() === "" ? undefined : text.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <Field label={label}>
      {(ids) => (
        <input
          {...ids}
          className="input"
          type="search"
          placeholder="Any"
          autoComplete="off"
          spellCheck={false}
          value={text ?? ""}
          onChange={(event) => setText(event.target.value)}
        />
      )}
    </Field>
  );
}
